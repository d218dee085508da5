// Looks the constants up once for each kind of GPU.
#include "sim/plan/weakest_timing.h"

#include <algorithm>
#include <set>

namespace moesim {

ExchangeTiming weakest_timing(const ExchangeName& name, const Cluster& cluster, int ranks) {
  const auto timing_of = [&](const std::string& accelerator) {
    return exchange_timing(name.algorithm, name.direction, name.within_node, accelerator);
  };
  ExchangeTiming weakest = timing_of(cluster.accelerator_of(Rank{0}).name);
  std::set<std::string> known{cluster.accelerator_of(Rank{0}).name};
  for (int rank = 0; rank < ranks; rank += cluster.fabric.ranks_per_node) {
    const std::string& accelerator = cluster.accelerator_of(Rank{rank}).name;
    if (!known.insert(accelerator).second) continue;
    const ExchangeTiming other = timing_of(accelerator);
    weakest.fixed = std::max(weakest.fixed, other.fixed);
    weakest.per_expert = std::max(weakest.per_expert, other.per_expert);
    weakest.per_message = std::max(weakest.per_message, other.per_message);
    weakest.nvlink_efficiency = std::min(weakest.nvlink_efficiency, other.nvlink_efficiency);
    weakest.nic_efficiency = std::min(weakest.nic_efficiency, other.nic_efficiency);
    if (weaker(weakest.basis, other.basis) != weakest.basis) weakest.source = other.source;
    weakest.basis = weaker(weakest.basis, other.basis);
  }
  return weakest;
}

}  // namespace moesim
