// The points within the objective: the smallest, the most productive, the cheapest.
#include "analysis/compare/objective_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

using Points = std::vector<const PointResult*>;

double value_of(const PointResult& point, const std::string& metric) {
  const Metric* found = find_metric(point, metric);
  return found == nullptr ? 0 : found->value;
}

const PointResult& least(const Points& points,
                         const std::function<double(const PointResult&)>& of) {
  return **std::min_element(
      points.begin(), points.end(),
      [&](const PointResult* a, const PointResult* b) { return of(*a) < of(*b); });
}

double rate(const PointResult& point) { return value_of(point, "tokens_per_second_per_gpu"); }

// Of those with the fewest GPUs the most productive.
std::string smallest_text(const Points& within) {
  const int fewest =
      least(within, [](const PointResult& point) { return double(point.ranks); }).ranks;
  Points of_size;
  std::copy_if(within.begin(), within.end(), std::back_inserter(of_size),
               [&](const PointResult* point) { return point->ranks == fewest; });
  const PointResult& best = least(of_size, [](const PointResult& point) { return -rate(point); });
  return fmt::format("the fewest GPUs are {} ({}: {}, {:.0f} tokens/s in all)", fewest, best.label,
                     metric_cell(best, best.slo.first), rate(best) * fewest);
}

std::string nearest_text(const Points& ran) {
  if (ran.empty()) return "none ran";
  const std::string& metric = ran.front()->slo.first;
  const PointResult& nearest =
      least(ran, [&](const PointResult& point) { return value_of(point, metric); });
  return fmt::format("the nearest is {} with {}", nearest.label, metric_cell(nearest, metric));
}

}  // namespace

std::string objective_text(const StudyResult& study) {
  if (study.points.empty() || study.points.front().slo.first.empty()) return "";
  const auto& [metric, most] = study.points.front().slo;
  Points within, ran;
  for (const PointResult& point : study.points) {
    if (find_metric(point, metric) != nullptr) ran.push_back(&point);
    if (meets_slo(point)) within.push_back(&point);
  }
  std::string text = fmt::format("Within {} ({}): {} of {} points; ", quantity_text(most, "s"),
                                 kind_text(metric), within.size(), study.points.size());
  if (within.empty()) return text + nearest_text(ran) + ".";
  const PointResult& best = least(within, [](const PointResult& point) { return -rate(point); });
  text += fmt::format("{}; most tokens/s per GPU: {} ({:.0f}, {})", smallest_text(within),
                      best.label, rate(best), metric_cell(best, metric));
  const auto priced = [](const PointResult* point) {
    return find_metric(*point, "cost_per_million_tokens") != nullptr;
  };
  if (!std::all_of(within.begin(), within.end(), priced)) return text + ".";
  const PointResult& cheapest = least(
      within, [](const PointResult& point) { return value_of(point, "cost_per_million_tokens"); });
  return text + fmt::format("; cheapest: {} ({} a million tokens).", cheapest.label,
                            metric_cell(cheapest, "cost_per_million_tokens"));
}

}  // namespace moesim
