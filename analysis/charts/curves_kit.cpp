// Points grouped into curves, and where curves cross.
#include "analysis/charts/curves_kit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>

#include "analysis/charts/chart_kit.h"

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

// A name speaks for itself, a number needs its key.
std::string name_of(const PointResult& point) {
  std::string name;
  for (const auto& [key, value] : point.varied) {
    if (is_batch(key)) continue;
    std::string word = key.substr(key.rfind('.') + 1);
    std::replace(word.begin(), word.end(), '_', ' ');
    if (!name.empty()) name += ", ";
    if (number_of(value)) name += word.append(" ");
    name += value;
  }
  return name.empty() ? point.model : name;
}

// Differences of logarithms where both curves have a value, by batch.
std::vector<std::pair<double, double>> differences(const Curve& a, const Curve& b, ValueOf value) {
  std::map<double, double> first;
  for (const Curve::At& at : a.points)
    if (const double y = value(*at.point); y > 0) first[at.batch] = y;
  std::vector<std::pair<double, double>> both;
  for (const Curve::At& at : b.points) {
    const auto found = first.find(at.batch);
    const double y = value(*at.point);
    if (found != first.end() && y > 0 && at.batch > 0)
      both.emplace_back(std::log(at.batch), std::log(found->second / y));
  }
  return both;
}

}  // namespace

std::vector<Curve> curves_over_batch(const StudyResult& study) {
  std::vector<Curve> curves;
  std::map<std::string, std::size_t> known;
  for (const PointResult& point : study.points) {
    const std::optional<double> batch = batch_of(point);
    if (!batch) continue;
    const std::string name = name_of(point);
    const auto [found, fresh] = known.try_emplace(name, curves.size());
    if (fresh) curves.push_back({name, {}});
    curves[found->second].points.push_back({*batch, &point});
  }
  for (Curve& curve : curves)
    std::stable_sort(curve.points.begin(), curve.points.end(),
                     [](const Curve::At& a, const Curve::At& b) { return a.batch < b.batch; });
  std::erase_if(curves, [](const Curve& curve) {
    return curve.points.front().batch == curve.points.back().batch;
  });
  return curves;
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
