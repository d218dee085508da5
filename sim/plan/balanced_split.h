// Token copies split over replicas so that the fullest rank has as few as possible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/plan/sharding_plan.h"

namespace moesim {

// Copies of each slot, when `copies` by expert go to the replicas of each expert in whole copies
// and the largest sum of a rank is the least possible: the per-batch linear programme of LPLB,
// solved exactly. Its constraints are those of a flow from experts to ranks, so the optimum is
// found by bisection on the largest sum with augmenting paths (Ahuja, Magnanti and Orlin, Network
// Flows, 6 and 7), and is whole where the copies are. Deterministic. `ranks` of the placement's EP
// group.
std::vector<std::uint32_t> balanced_split(std::span<const std::uint32_t> copies,
                                          const Placement& placement,
                                          std::size_t ranks);

}  // namespace moesim
