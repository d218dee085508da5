// Points grouped into curves, and where curves cross.
#include "analysis/charts/curves_kit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "analysis/charts/chart_kit.h"
#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

bool is_batch(const std::string& key) {
  return key == "workload.requests_per_rank" || key == "workload.requests_per_rank.mean" ||
         key == "workload.tokens_per_rank";
}

std::optional<double> number_of(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return std::nullopt;
  return number;
}

std::optional<double> batch_of(const PointResult& point) {
  for (const auto& [key, value] : point.varied)
    if (is_batch(key)) return number_of(value);
  return std::nullopt;
}

// Keys whose value follows from a point's place: they vary with it, not across curves.
std::set<std::string> keys_of_place(const StudyResult& study, const PlaceOf& place) {
  std::map<std::string, std::map<double, std::string>> values;
  std::set<std::string> free;
  for (const PointResult& point : study.points) {
    const auto at = place(point);
    if (!at) continue;
    for (const auto& [key, value] : point.varied) {
      const auto [found, fresh] = values[key].try_emplace(*at, value);
      if (!fresh && found->second != value) free.insert(key);
    }
  }
  std::set<std::string> keys;
  for (const auto& [key, by_place] : values)
    if (free.count(key) == 0) keys.insert(key);
  return keys;
}

// A name speaks for itself, a number needs its key.
std::string name_of(const PointResult& point, const std::set<std::string>& left_out) {
  std::string name;
  for (const auto& [key, value] : point.varied) {
    if (left_out.count(key) > 0) continue;
    std::string word = key.substr(key.rfind('.') + 1);
    std::replace(word.begin(), word.end(), '_', ' ');
    if (!name.empty()) name += ", ";
    if (number_of(value)) name += word.append(" ");
    name += value;
  }
  return name.empty() ? point.model : name;
}

double value_or(const PointResult& point, const std::string& metric, double other) {
  const Metric* found = find_metric(point, metric);
  return found == nullptr ? other : found->value;
}

bool better(const PointResult& a, const PointResult& b) {
  if (meets_slo(a) != meets_slo(b)) return meets_slo(a);
  if (!meets_slo(a)) return value_or(a, a.slo.first, 1e300) < value_or(b, b.slo.first, 1e300);
  return value_or(a, "tokens_per_second_per_gpu", 0) > value_or(b, "tokens_per_second_per_gpu", 0);
}

// Differences of logarithms where both curves have a value, by batch.
std::vector<std::pair<double, double>> differences(const Curve& a, const Curve& b, ValueOf value) {
  std::map<double, double> first;
  for (const Curve::At& at : a.points)
    if (const double y = value(*at.point); y > 0) first[at.along] = y;
  std::vector<std::pair<double, double>> both;
  for (const Curve::At& at : b.points) {
    const auto found = first.find(at.along);
    const double y = value(*at.point);
    if (found != first.end() && y > 0 && at.along > 0)
      both.emplace_back(std::log(at.along), std::log(found->second / y));
  }
  return both;
}

}  // namespace

std::vector<Curve> curves_along(const StudyResult& study, const PlaceOf& place, bool any_batch) {
  std::set<std::string> left_out = keys_of_place(study, place);
  for (const PointResult& point : study.points)
    for (const auto& [key, value] : point.varied)
      if (any_batch && is_batch(key)) left_out.insert(key);
  std::vector<Curve> curves;
  std::map<std::string, std::size_t> known;
  for (const PointResult& point : study.points) {
    const std::optional<double> along = place(point);
    if (!along) continue;
    const std::string name = name_of(point, left_out);
    const auto [found, fresh] = known.try_emplace(name, curves.size());
    if (fresh) curves.push_back({name, {}});
    curves[found->second].points.push_back({*along, &point});
  }
  for (Curve& curve : curves)
    std::stable_sort(curve.points.begin(), curve.points.end(),
                     [](const Curve::At& a, const Curve::At& b) { return a.along < b.along; });
  std::erase_if(curves, [](const Curve& curve) {
    return curve.points.front().along == curve.points.back().along;
  });
  return curves;
}

std::vector<Curve> curves_over_batch(const StudyResult& study) {
  return curves_along(study, batch_of, false);
}

std::vector<Curve> curves_over_gpus(const StudyResult& study) {
  const auto gpus = [](const PointResult& point) -> std::optional<double> {
    if (!point.ran) return std::nullopt;
    return point.ranks;
  };
  std::vector<Curve> curves = curves_along(study, gpus, true);
  for (Curve& curve : curves) {
    std::vector<Curve::At> best;
    for (const Curve::At& at : curve.points) {
      if (best.empty() || best.back().along != at.along)
        best.push_back(at);
      else if (better(*at.point, *best.back().point))
        best.back() = at;
    }
    curve.points = std::move(best);
  }
  return curves;
}

double largest_of(const std::vector<Curve>& curves, const std::string& metric) {
  double largest = 0;
  for (const Curve& curve : curves)
    for (const Curve::At& at : curve.points)
      largest = std::max(largest, value_or(*at.point, metric, 0));
  return largest;
}

void draw_as_band(nlohmann::json& series) {
  series["lineStyle"] = {{"type", "dotted"}, {"width", 1}, {"opacity", 0.7}};
  series["symbol"] = "none";
  series["silent"] = true;
}

nlohmann::json mark_of(const Curve::At& at, double value) {
  return {{"value", {at.along, rounded(value)}},
          {"symbol", meets_slo(*at.point) ? "circle" : "emptyCircle"},
          {"symbolSize", 9},
          {"name", at.point->label}};
}

std::string slo_note(const std::vector<Curve>& curves) {
  for (const Curve& curve : curves)
    for (const Curve::At& at : curve.points)
      if (!meets_slo(*at.point))
        return " Hollow: misses the objective of " + quantity_text(at.point->slo.second, "s") + ".";
  return "";
}

std::vector<double> crossings(const Curve& a, const Curve& b, ValueOf value) {
  const auto both = differences(a, b, value);
  std::vector<double> crossed;
  for (std::size_t i = 1; i < both.size(); ++i) {
    const auto [x0, y0] = both[i - 1];
    const auto [x1, y1] = both[i];
    if ((y0 < 0) == (y1 < 0)) continue;
    crossed.push_back(std::exp(x0 + (x1 - x0) * y0 / (y0 - y1)));
  }
  return crossed;
}

nlohmann::json log_axis(const std::string& name) {
  nlohmann::json axis = value_axis(name);
  axis["type"] = "log";
  return axis;
}

}  // namespace moesim
