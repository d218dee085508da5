// Rows become an Exchange: bytes on every link, and for each rank the busiest link on its way. Rows
// are counted as integers and turned into bytes leg by leg, so sums are exact.
#pragma once

#include <string>
#include <vector>

#include "sim/plan/fabric_paths.h"
#include "sim/plan/step_graph.h"

namespace moesim {

struct ExchangeInputs {
  std::string algorithm;
  ExchangeTraffic traffic;
  ExchangeTiming timing;
  int experts = 0;         // physical experts of the EP group, for timing.per_expert
  double sm_speed = 1;     // of the SMs it holds over those its constants were measured with
  double speed_taken = 0;  // share of the speed of kernels beside it
  BytesPerSecond memory_bandwidth = {};  // for traffic.copied; 0 = copies take no time
  int peers = 0;  // other ranks a rank talks to: size of its EP or TP group - 1
  bool keep_flows = false, keep_shares = false;
};

// Ranks of every leg <= paths.ranks(): the ranks of the pool are the fabric's first. Rows that stay
// on a rank cross no link. flows come leg after leg, source by source, destinations ascending.
// Of timing.second and timing.protocol the one that ends sooner on its slowest rank.
Exchange make_exchange(const FabricPaths& paths, int ranks, const ExchangeInputs& inputs);

// The stages of one exchange, in order: each waits for the one before, and only the first pays for
// launch, synchronisation and experts. inputs.traffic is not read.
std::vector<Exchange> make_stages(const FabricPaths& paths,
                                  int ranks,
                                  ExchangeInputs inputs,
                                  std::vector<ExchangeTraffic> stages);

// From when all its sources have begun to the exchange's end at one rank, and at the last rank,
// when nothing else loads the links.
Seconds exchange_time(const Exchange& exchange, std::size_t rank);
Seconds exchange_time(const Exchange& exchange);

}  // namespace moesim
