// Contract of a placement strategy: one .cpp in sim/plan/placement/ that registers a PlacementPart.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

struct PlacementInput {
  std::vector<std::vector<double>>
      load;        // [layer][logical expert]: token copies in the planning window
  int slots = 0;   // physical experts = logical experts + redundant
  int ranks = 1;   // of the EP group; divides slots
  int nodes = 1;   // the EP group spans; divides ranks
  int groups = 1;  // expert groups of the model's router; 1 = none
  std::uint64_t seed = 0;
};

// One Placement per layer of load. Every logical expert is placed at least once and every rank
// holds exactly slots / ranks physical experts (law tests check both for every strategy).
using PlacementPart = std::function<std::vector<Placement>(const PlacementInput&)>;

// Load [moe layer][expert] of the given trace rows.
struct RoutingTrace;
std::vector<std::vector<double>> expert_load(const RoutingTrace& trace,
                                             const std::vector<std::uint32_t>& rows);

}  // namespace moesim
