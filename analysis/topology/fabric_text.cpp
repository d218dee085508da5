// The summary of a fabric as tables for a terminal.
#include <fmt/format.h>

#include <cmath>

#include "analysis/report/text_table.h"
#include "analysis/topology/fabric_picture.h"

namespace moesim {
namespace {

template <class Value>
std::string range(Value low, Value high) {
  const std::string first = to_text(low), last = to_text(high);
  return first == last ? first : first + " to " + last;
}

std::string devices_of(const FabricSummary& summary) {
  std::string text;
  for (const auto& [kind, count] : summary.devices) {
    if (kind != DeviceKind::gpu)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, to_text(kind));
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string fabric_text(const FabricSummary& summary, const std::string& title) {
  std::string text = fmt::format("{}\n\n", title);
  const auto line = [&](const char* what, const std::string& value) {
    text += fmt::format("  {:<22}{}\n", what, value);
  };
  line("GPUs",
       fmt::format("{} = {} nodes x {}", summary.ranks, summary.nodes, summary.ranks_per_node));
  line("switches and others", devices_of(summary));
  line("bandwidth of a GPU", to_text(summary.port) + (summary.nodes > 1 ? " between nodes" : ""));
  if (std::isfinite(summary.bisection.value))
    line("bisection bandwidth", to_text(summary.bisection) + " each way");
  if (summary.oversubscription > 0)
    line("oversubscription", fmt::format("{:.3g} : 1", summary.oversubscription));
  line("diameter", fmt::format("{} links, {}", summary.diameter, to_text(summary.farthest)));
  std::vector<std::vector<std::string>> rows;
  for (const TierSummary& tier : summary.tiers)
    rows.push_back({to_text(tier.tier), std::to_string(tier.cables),
                    range(tier.slowest, tier.fastest), range(tier.shortest, tier.longest)});
  return text + "\n" +
         text_table({{"tier", 20, false}, {"cables"}, {"each way"}, {"latency of a link"}}, rows);
}

}  // namespace moesim
