// FabricSummary: what people ask of a fabric first.
#pragma once

#include <utility>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

struct TierSummary {
  LinkTier tier{};
  std::size_t cables = 0;           // full-duplex
  BytesPerSecond slowest, fastest;  // one direction
  Seconds shortest{}, longest{};    // latency
};

struct FabricSummary {
  int ranks = 0, nodes = 0, ranks_per_node = 0;
  std::vector<std::pair<DeviceKind, std::size_t>> devices;  // kinds that occur
  std::vector<TierSummary> tiers;                           // tiers that occur
  BytesPerSecond port;  // of a GPU into the network between nodes, mean; in one node all its links
  BytesPerSecond bisection;  // bisection_bandwidth; infinite for one rank
  double oversubscription =
      0;               // ports of half the ranks / bisection; 0 where the halves cut a node
  int diameter = 0;    // links of the longest path between two ranks
  Seconds farthest{};  // latency of the slowest path
};

// Walks the paths from all ranks, or from 64 spread evenly over more than 512.
FabricSummary summary_of(const Fabric& fabric);

}  // namespace moesim
