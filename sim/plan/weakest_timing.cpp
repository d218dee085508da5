// Looks the constants up once for each kind of GPU.
#include "sim/plan/weakest_timing.h"

#include <algorithm>
#include <set>

namespace moesim {
namespace {

void slow_to(const ExchangeTiming::Protocol& other, ExchangeTiming::Protocol& slowest) {
  slowest.fixed = std::max(slowest.fixed, other.fixed);
  slowest.nvlink_efficiency = std::min(slowest.nvlink_efficiency, other.nvlink_efficiency);
  slowest.nic_efficiency = std::min(slowest.nic_efficiency, other.nic_efficiency);
}

// A rate of 0 limits nothing.
void slow_to(BytesPerSecond other, BytesPerSecond& slowest) {
  if (other.value > 0 && (slowest.value <= 0 || other < slowest)) slowest = other;
}

void slow_to(const ExchangeTiming& other, ExchangeTiming& slowest) {
  slow_to(other.protocol, slowest.protocol);
  if (other.second && slowest.second) slow_to(*other.second, *slowest.second);
  if (!other.second) slowest.second.reset();
  slowest.per_expert = std::max(slowest.per_expert, other.per_expert);
  slowest.per_message = std::max(slowest.per_message, other.per_message);
  slowest.per_token = std::max(slowest.per_token, other.per_token);
  slow_to(other.sm_rate, slowest.sm_rate);
  slowest.sm_row_overhead = std::max(slowest.sm_row_overhead, other.sm_row_overhead);
  slow_to(other.copy_rate, slowest.copy_rate);
  if (weaker(slowest.basis, other.basis) != slowest.basis) slowest.source = other.source;
  slowest.basis = weaker(slowest.basis, other.basis);
}

}  // namespace

ExchangeTiming weakest_timing(const ExchangeName& name, const Cluster& cluster, int ranks) {
  const auto timing_of = [&](const std::string& accelerator) {
    return exchange_timing({name.algorithm, name.direction, name.within_node, accelerator,
                            cluster.spec.cpu_proxy, cluster.spec.calibration});
  };
  ExchangeTiming weakest = timing_of(cluster.accelerator_of(Rank{0}).name);
  std::set<std::string> known{cluster.accelerator_of(Rank{0}).name};
  for (int rank = 0; rank < ranks; rank += cluster.fabric.ranks_per_node) {
    const std::string& accelerator = cluster.accelerator_of(Rank{rank}).name;
    if (known.insert(accelerator).second) slow_to(timing_of(accelerator), weakest);
  }
  return weakest;
}

}  // namespace moesim
