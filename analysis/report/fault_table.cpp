// One row a fault: when, how long the pool stood still, and its pace before and after.
#include "analysis/report/fault_table.h"

#include <fmt/format.h>

#include "analysis/report/text_table.h"
#include "sim/core/units.h"

namespace moesim {
namespace {

std::string pace_text(const PoolPace& pace) {
  if (pace.step_time == 0) return "-";
  return fmt::format("{}, {:.0f} tokens/s", to_text(Seconds(pace.step_time)), pace.throughput);
}

std::string recovery_text(const FaultResult& fault) {
  if (fault.recovery == 0 && fault.lost == 0) return "-";
  std::string text =
      fmt::format("{} without a token", to_text(Seconds(fault.lost + fault.recovery)));
  if (fault.lost > 0) text += fmt::format(", {} of them a lost step", to_text(Seconds(fault.lost)));
  if (fault.reloaded > 0) text += fmt::format(", {} reloaded", to_text(Bytes(fault.reloaded)));
  return text;
}

std::string remaining_text(const FaultResult& fault) {
  if (fault.step < 0) return "the steps ended before";
  if (fault.after.steps == 0 && fault.memory.starts_with("does not fit"))
    return "0 %: " + fault.memory;
  if (fault.after.steps == 0) return "no step before the next fault";
  return fmt::format("{:.0f} %", 100 * fault.remaining);
}

}  // namespace

std::string fault_table(const StudyResult& study) {
  const std::vector<TextColumn> columns{{"plan", 16, false},
                                        {"fault", 20, false},
                                        {"at", 8, true},
                                        {"step time and throughput before", 18, false},
                                        {"recovery", 18, false},
                                        {"after", 18, false},
                                        {"throughput that remains", 10, true}};
  std::vector<std::vector<std::string>> rows;
  for (const PointResult& point : study.points)
    for (const FaultResult& fault : point.faults)
      rows.push_back({point.label, fault.fault,
                      fault.at == 0 ? "start" : to_text(Seconds(fault.at)), pace_text(fault.before),
                      recovery_text(fault), pace_text(fault.after), remaining_text(fault)});
  return rows.empty() ? "" : text_table(columns, rows) + "\n";
}

}  // namespace moesim
