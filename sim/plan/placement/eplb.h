// EPLB, DeepSeek's expert-parallel load balancer, to the slot: docs/models.md, "EPLB".
#pragma once

#include <vector>

#include "sim/plan/placement.h"

namespace moesim {

// One MoE layer. Slots are numbered node after node, rank after rank; expert ids are logical.
struct EplbLayer {
  std::vector<int> expert_of_slot;
  std::vector<std::vector<int>> slots_of_expert;  // in the order the replicas were made
};

// Hierarchical when the groups divide over the nodes (whole expert groups stay in a node), global
// otherwise. Loads are compared in 32-bit floats and ties go to the lowest index. InputError when
// the hierarchical policy applies and the experts do not divide into the groups.
std::vector<EplbLayer> eplb(const PlacementInput& input);

}  // namespace moesim
