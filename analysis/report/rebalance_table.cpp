// Costs are a rebalance's own, gains a step's: how many steps until the one is the other.
#include "analysis/report/rebalance_table.h"

#include <fmt/format.h>

#include <cmath>

#include "analysis/metrics/metric_text.h"
#include "analysis/report/text_table.h"
#include "sim/core/units.h"

namespace moesim {
namespace {

RebalanceResult mean_of(const std::vector<RebalanceResult>& rebalances) {
  RebalanceResult mean;
  const auto count = static_cast<double>(rebalances.size());
  for (const RebalanceResult& one : rebalances) {
    mean.steps += one.steps;
    mean.replicas += one.replicas / count;
    mean.moved_bytes += one.moved_bytes / count;
    mean.migration += one.migration / count;
    mean.host += one.host / count;
    mean.before += one.before / count;
    mean.after += one.after / count;
  }
  mean.steps /= static_cast<int>(rebalances.size());
  return mean;
}

std::string payback_text(const RebalanceResult& mean) {
  const double gain = mean.before - mean.after;
  if (gain <= 0) return "never";
  return fmt::format("{:.0f} steps", std::ceil((mean.migration + mean.host) / gain));
}

}  // namespace

std::string rebalance_table(const StudyResult& study) {
  const std::vector<TextColumn> columns{{"plan", 24, false},      {"rebalances", 10, true},
                                        {"moved each", 10, true}, {"steps longer", 9, true},
                                        {"host", 8, true},        {"step before", 9, true},
                                        {"step after", 9, true},  {"pays back after", 12, true}};
  std::vector<std::vector<std::string>> rows;
  for (const PointResult& point : study.points) {
    if (point.rebalances.empty()) continue;
    const RebalanceResult mean = mean_of(point.rebalances);
    rows.push_back({point.label, std::to_string(point.rebalances.size()),
                    to_text(Bytes(mean.moved_bytes)), quantity_text(mean.migration, "s"),
                    quantity_text(mean.host, "s"), quantity_text(mean.before, "s"),
                    quantity_text(mean.after, "s"), payback_text(mean)});
  }
  return rows.empty() ? "" : text_table(columns, rows) + "\n";
}

std::vector<std::string> rebalance_lines(const StudyResult& study) {
  std::vector<std::string> lines;
  for (const PointResult& point : study.points) {
    if (point.rebalances.empty()) continue;
    const RebalanceResult mean = mean_of(point.rebalances);
    lines.push_back(fmt::format(
        "{}: {} rebalances, each moves {} over {} steps that take {} longer in all, and {} of the "
        "host; a step then takes {} instead of {}. Pays back after: {}.",
        point.label, point.rebalances.size(), to_text(Bytes(mean.moved_bytes)), mean.steps,
        quantity_text(mean.migration, "s"), quantity_text(mean.host, "s"),
        quantity_text(mean.after, "s"), quantity_text(mean.before, "s"), payback_text(mean)));
  }
  return lines;
}

}  // namespace moesim
