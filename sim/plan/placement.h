// Contract of a placement strategy: one .cpp in sim/plan/placement/ that registers a PlacementPart.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

struct Fabric;
class RankCosts;
struct RoutingTrace;

// Tokens of the planning window, for strategies that look at which experts are chosen together.
struct PlanningTokens {
  const RoutingTrace* trace = nullptr;  // null = only loads are known
  std::span<const std::uint32_t> rows;  // the only rows of it a strategy may look at
};

// The cluster a placement is for, as far as it costs; the EP group is the fabric's first ranks.
struct PlacementCluster {
  const Fabric* fabric = nullptr;    // null = not known: all ranks and links alike
  const RankCosts* costs = nullptr;  // null = expert work takes no time
  struct Way {
    double row_bytes = 0;                              // of a token copy
    double nvlink_efficiency = 1, nic_efficiency = 1;  // reached shares of line rate
  };
  Way dispatch, combine;
  double step_copies = 0;  // token copies of the EP group in one step of one MoE layer
};

struct PlacementInput {
  std::vector<std::vector<double>>
      load;        // [layer][logical expert]: token copies in the planning window
  int slots = 0;   // physical experts = logical experts + redundant
  int ranks = 1;   // of the EP group; divides slots
  int nodes = 1;   // the EP group spans; divides ranks
  int groups = 1;  // expert groups of the model's router; 1 = none
  std::uint64_t seed = 0;
  std::vector<Placement> previous = {};  // by layer; what is in place now; empty = nothing is
  PlanningTokens tokens = {};
  PlacementCluster cluster = {};
};

// One Placement per layer of load. Every logical expert is placed at least once and every rank
// holds exactly slots / ranks physical experts (law tests check both for every strategy).
// InputError where the input lacks what the strategy needs.
using PlacementPart = std::function<std::vector<Placement>(const PlacementInput&)>;

// Load [moe layer][expert] of the given trace rows.
std::vector<std::vector<double>> expert_load(const RoutingTrace& trace,
                                             const std::vector<std::uint32_t>& rows);

// Load of each rank when copies are dealt evenly over the replicas of an expert.
std::vector<double> rank_load(const Placement& placement,
                              const std::vector<double>& load,
                              std::size_t ranks);

// Replicas of `now` that are on a rank which did not hold their expert before. Ranks as in both.
std::size_t replicas_that_move(const Placement& before, const Placement& now);

// Mean over largest; 1 when there is no load.
double balancedness(std::span<const double> load_by_rank);

}  // namespace moesim
