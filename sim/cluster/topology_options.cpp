// What every topology refuses.
#include "sim/cluster/topology_options.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "sim/core/error.h"

namespace moesim {
namespace {

void at_least_one(const std::string& option, int value) {
  if (value < 1) refuse_option(option, std::to_string(value) + " is not allowed; at least 1");
}

void above_zero(const std::string& option, BytesPerSecond rate) {
  if (!(rate.value >= 1) || !std::isfinite(rate.value))
    refuse_option(option, "bandwidth must be above 0, as in \"400 Gb/s\"");
}

void not_negative(const std::string& option, Seconds latency) {
  if (!(latency.count() >= 0) || !std::isfinite(latency.count()))
    refuse_option(option, "latency must not be negative, as in \"2 us\"");
}

void check_counts(const TopologyOptions& options) {
  at_least_one("nodes", options.nodes);
  at_least_one("gpus_per_node", options.gpus_per_node);
  at_least_one("nodes_per_leaf", options.nodes_per_leaf);
  at_least_one("planes", options.planes);
  at_least_one("gpus_per_tray", options.gpus_per_tray);
  constexpr std::int64_t kMostRanks = 65536;
  const std::int64_t ranks = std::int64_t{options.nodes} * options.gpus_per_node;
  if (ranks > kMostRanks)
    refuse_option("nodes", std::to_string(ranks) + " GPUs are not allowed; at most 65536");
}

// Options that shape only some fabrics, and whether each was given.
std::vector<std::pair<std::string, bool>> given_options(const TopologyOptions& options) {
  const TopologyOptions usual;
  return {{"oversubscription", options.oversubscription != usual.oversubscription},
          {"scale_up", options.scale_up != usual.scale_up},
          {"planes", options.planes != usual.planes},
          {"gpus_per_tray", options.gpus_per_tray != usual.gpus_per_tray},
          {"switch_ports", options.switch_ports != usual.switch_ports},
          {"gpus_per_switch", options.gpus_per_switch != usual.gpus_per_switch},
          {"switches_per_group", options.switches_per_group != usual.switches_per_group},
          {"torus", !options.torus.empty()},
          {"switch_link", options.switch_link != usual.switch_link},
          {"graph", !options.graph.empty()}};
}

}  // namespace

void refuse_option(const std::string& option, const std::string& message) {
  throw InputError(Location{"", 0, 0, "cluster." + option}, message);
}

void check_options(const TopologyOptions& options,
                   const std::string& topology,
                   const std::vector<std::string>& meant) {
  check_counts(options);
  above_zero("nvlink", options.nvlink);
  if (options.nodes > 1) above_zero("nic", options.nic);
  for (const NodeBandwidth& node : options.by_node) {
    above_zero("node_groups", node.nvlink);
    if (options.nodes > 1) above_zero("node_groups", node.nic);
  }
  not_negative("nvlink_latency", options.nvlink_latency);
  not_negative("nic_latency", options.nic_latency);
  not_negative("spine_latency", options.spine_latency);
  if (!(options.oversubscription >= 1) || !std::isfinite(options.oversubscription))
    refuse_option("oversubscription", "must be at least 1 (1 = non-blocking)");

  for (const auto& [option, given] : given_options(options)) {
    if (given && std::find(meant.begin(), meant.end(), option) == meant.end())
      refuse_option(option, "means nothing to topology \"" + topology + "\"; leave it out");
  }
}

}  // namespace moesim
