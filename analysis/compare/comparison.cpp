// The best point of a study against the others, and what the bands leave of the difference.
#include "analysis/compare/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

constexpr const char* kStepTime = "step_time";
constexpr const char* kThroughput = "tokens_per_second_per_gpu";

// Tokens a GPU works on in one step, or 0 where a metric is missing.
double work(const PointResult& point) {
  const Metric* step_time = find_metric(point, kStepTime);
  const Metric* throughput = find_metric(point, kThroughput);
  return step_time && throughput ? step_time->value * throughput->value : 0;
}

bool judged_by_throughput(const StudyResult& study) {
  double least = INFINITY;
  double most = 0;
  for (const PointResult& point : study.points) {
    if (!find_metric(point, kStepTime)) continue;
    least = std::min(least, work(point));
    most = std::max(most, work(point));
  }
  return least > 0 && most > least * 1.001 && std::isfinite(least);
}

// The indices of the points that have a value to judge by, best first.
std::vector<std::size_t> ranking(const StudyResult& study) {
  const bool by_throughput = judged_by_throughput(study);
  const char* name = by_throughput ? kThroughput : kStepTime;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < study.points.size(); ++i)
    if (const Metric* metric = find_metric(study.points[i], name); metric && metric->value > 0)
      order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (meets_slo(study.points[a]) != meets_slo(study.points[b])) return meets_slo(study.points[a]);
    const double first = find_metric(study.points[a], name)->value;
    const double second = find_metric(study.points[b], name)->value;
    return by_throughput ? first > second : first < second;
  });
  return order;
}

// Typical error of the step time's basis.
double step_error(const PointResult& point) {
  const Metric* step_time = find_metric(point, kStepTime);
  return step_time ? basis_error(step_time->basis) : 0;
}

void compare_parts(const PointResult& better, const PointResult& other, Comparison& comparison) {
  std::map<std::string, double> saving;
  for (const auto& [kind, seconds] : other.breakdown) saving[kind] += seconds;
  for (const auto& [kind, seconds] : better.breakdown) saving[kind] -= seconds;
  const double error = std::max(step_error(better), step_error(other));
  for (const auto& [kind, seconds] : saving) {
    comparison.least_saving += seconds - error * std::abs(seconds);
    if (seconds <= comparison.main_saving) continue;
    comparison.main_saving = seconds;
    comparison.main_part = kind;
  }
}

}  // namespace

std::vector<Comparison> compare_points(const StudyResult& study) {
  const std::vector<std::size_t> order = ranking(study);
  const bool by_throughput = judged_by_throughput(study);
  std::vector<Comparison> comparisons;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (meets_slo(study.points[order[0]]) && !meets_slo(study.points[order[i]])) continue;
    Comparison comparison;
    comparison.better = order[0];
    comparison.other = order[i];
    comparison.by_throughput = by_throughput;
    const char* name = comparison.by_throughput ? kThroughput : kStepTime;
    const Metric& first = *find_metric(study.points[order[0]], name);
    const Metric& second = *find_metric(study.points[order[i]], name);
    comparison.ratio =
        comparison.by_throughput ? first.value / second.value : second.value / first.value;
    comparison.bands_overlap = first.low <= second.high && second.low <= first.high;
    compare_parts(study.points[order[0]], study.points[order[i]], comparison);
    comparisons.push_back(comparison);
  }
  return comparisons;
}

std::optional<std::size_t> best_point(const StudyResult& study) {
  const std::vector<std::size_t> order = ranking(study);
  if (order.empty()) return std::nullopt;
  return order[0];
}

StudyResult best_points(const StudyResult& study, std::size_t most) {
  if (study.points.size() <= most) return study;
  std::vector<std::size_t> kept = ranking(study);
  kept.resize(std::min(kept.size(), most));
  std::sort(kept.begin(), kept.end());
  StudyResult best{study.name, study.file, {}};
  for (const std::size_t i : kept) best.points.push_back(study.points[i]);
  if (best.points.empty()) best.points.assign(study.points.begin(), study.points.begin() + 1);
  return best;
}

std::string comparison_text(const StudyResult& study, const Comparison& comparison) {
  const PointResult& better = study.points[comparison.better];
  const PointResult& other = study.points[comparison.other];
  const char* name = comparison.by_throughput ? kThroughput : kStepTime;
  const std::string values =
      fmt::format("{} against {}{}", metric_cell(better, name), metric_cell(other, name),
                  comparison.by_throughput ? "" : " a step");
  if (comparison.ratio < kEqualRatio)
    return fmt::format("{} and {} are equal: {}.", better.label, other.label, values);
  if (comparison.by_throughput)
    return fmt::format("{} yields {:.2f}x the tokens per second and GPU of {}: {}.", better.label,
                       comparison.ratio, other.label, values);
  std::string text = fmt::format("{} is {:.2f}x faster than {}: {}", better.label, comparison.ratio,
                                 other.label, values);
  if (!comparison.main_part.empty()) {
    const double saved = find_metric(other, name)->value - find_metric(better, name)->value;
    text +=
        fmt::format("; {} in {} ({} less)",
                    2 * comparison.main_saving >= saved ? "most of it" : "the largest part",
                    kind_text(comparison.main_part), quantity_text(comparison.main_saving, "s"));
  }
  return text + ".";
}

std::string certainty_text(const StudyResult& study, const Comparison& comparison) {
  if (comparison.ratio < kEqualRatio || !comparison.bands_overlap) return "";
  const char* name = comparison.by_throughput ? kThroughput : kStepTime;
  const Metric& first = *find_metric(study.points[comparison.better], name);
  const Metric& second = *find_metric(study.points[comparison.other], name);
  const std::string bands =
      fmt::format("Their bands overlap ({} against {}), so the factor is uncertain",
                  band_text(first), band_text(second));
  if (comparison.by_throughput) return bands + ", and with it the order.";
  if (comparison.least_saving > 0)
    return bands +
           fmt::format(
               "; the order is firmer: both plans rest on the same constants, and with each "
               "part of the step off by {:.0f} % at least {} of the saving stay.",
               100 * std::max(step_error(study.points[comparison.better]),
                              step_error(study.points[comparison.other])),
               quantity_text(comparison.least_saving, "s"));
  return bands + ", and with it the order: the plans trade one part of the step for another.";
}

}  // namespace moesim
