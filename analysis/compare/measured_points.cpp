// Errors of the model cancel in a ratio of two plans, so the measured point is scaled, not
// replaced.
#include "analysis/compare/measured_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/metrics/metric_text.h"
#include "sim/core/error.h"

namespace moesim {
namespace {

const Metric& metric_of_point(const PointResult& point, const std::string& name) {
  if (const Metric* metric = find_metric(point, name)) return *metric;
  std::vector<std::string> names;
  for (const NamedMetric& named : point.metrics) names.push_back(named.name);
  throw InputError("no metric \"" + name + "\" of " + point.label + name_help(name, names));
}

}  // namespace

std::vector<std::string> measured_lines(const PointResult& in_use,
                                        const std::vector<MeasuredPoint>& measured) {
  std::vector<std::string> lines;
  for (const MeasuredPoint& point : measured) {
    const Metric& predicted = metric_of_point(in_use, point.metric);
    lines.push_back(fmt::format("{} of {}: {} measured, {} predicted ({:+.1f} %)", point.metric,
                                in_use.label, quantity_text(point.value, predicted.unit),
                                quantity_text(predicted.value, predicted.unit),
                                100 * (predicted.value / point.value - 1)));
  }
  return lines;
}

std::string change_line(const PointResult& in_use,
                        const PointResult& other,
                        const std::vector<MeasuredPoint>& measured) {
  const Metric& before = metric_of_point(in_use, "step_time");
  const Metric& after = metric_of_point(other, "step_time");
  std::map<std::string, double> change;
  for (const auto& [kind, seconds] : other.breakdown) change[kind] += seconds;
  for (const auto& [kind, seconds] : in_use.breakdown) change[kind] -= seconds;
  const double error = std::max(basis_error(before.basis), basis_error(after.basis));
  double sum = 0, spread = 0;
  for (const auto& [kind, seconds] : change) {
    sum += seconds;
    spread += error * std::abs(seconds);
  }
  const auto ratio = [&](double off) { return 1 + (sum + off) / before.value; };
  std::string line = fmt::format("{}: step time x {:.3f} ({:.3f} to {:.3f})", other.label, ratio(0),
                                 ratio(-spread), ratio(spread));
  for (const MeasuredPoint& point : measured)
    if (point.metric == "step_time")
      line += fmt::format(", {} of the {} measured", quantity_text(ratio(0) * point.value, "s"),
                          quantity_text(point.value, "s"));
  return line;
}

}  // namespace moesim
