// The placement of a point: by its strategy on the planning rows, or from its file.
#pragma once

#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/scenario/scenario.h"
#include "sim/trace/routing_trace.h"

namespace moesim {

struct PlacementRequest {
  const Scenario& scenario;
  const MoeModel& model;
  const Cluster& cluster;
  const RoutingTrace& trace;
  const std::vector<std::uint32_t>& planning_rows;  // all of the trace that a strategy sees
  std::vector<Placement> in_place = {};  // what it finds there; empty = the scenario's, if any
};

// One Placement for each MoE layer of the trace. InputError: the strategy cannot place what it is
// given; a file has other layers than the trace.
std::vector<Placement> place_experts(const PlacementRequest& request);

}  // namespace moesim
