// Rows become an Exchange: bytes on every link, and for each rank the busiest link on its way. Rows
// are counted as integers and turned into bytes leg by leg, so sums are exact.
#pragma once

#include <string>

#include "sim/plan/fabric_paths.h"
#include "sim/plan/step_graph.h"

namespace moesim {

struct ExchangeInputs {
  std::string algorithm;
  ExchangeTraffic traffic;
  ExchangeTiming timing;
  int experts = 0;  // physical experts of the EP group, for timing.per_expert
  int peers = 0;    // other ranks a rank talks to: size of its EP or TP group - 1
  bool keep_flows = false;
};

// Ranks of every leg <= paths.ranks(): the ranks of the pool are the fabric's first. Rows that stay
// on a rank cross no link. flows come leg after leg, source by source, destinations ascending
// (transposed: destination by destination, sources ascending).
Exchange make_exchange(const FabricPaths& paths, int ranks, const ExchangeInputs& inputs);

}  // namespace moesim
