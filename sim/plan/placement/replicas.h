// What strategies do with replicas: how many an expert gets, and one at most on a rank.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "sim/plan/placement.h"

namespace moesim {

struct Replicas {
  std::vector<std::size_t> expert_of;  // by replica: every expert once, then the redundant ones
  std::vector<float> share;            // by expert: load a replica when copies are dealt evenly
};

// EPLB's rule: one redundant replica at a time for the expert with the largest load per replica,
// the lowest on ties, compared in 32-bit floats; nobody gets more than `most`. slots <= experts x
// most.
Replicas replicate(std::span<const float> load,
                   std::size_t slots,
                   std::size_t most = std::numeric_limits<std::size_t>::max());

// The same for a layer of the input, with at most a replica a rank.
Replicas replicate(const std::vector<double>& load, const PlacementInput& input);

using ExpertsByRank = std::vector<std::vector<std::size_t>>;  // of one layer; equally many a rank

// Swaps experts between ranks until none holds one twice, always the swap that moves least load:
// possible whenever no expert has more replicas than there are ranks.
void separate_replicas(ExpertsByRank& experts, std::span<const float> share);

// Slots in the order of ranks.
Placement placement_of(const ExpertsByRank& experts);
ExpertsByRank experts_by_rank(const Placement& placement, std::size_t ranks);

}  // namespace moesim
