// Fills the input of a placement strategy from a scenario.
#include "sim/study/place_experts.h"

#include <algorithm>
#include <numeric>

#include "sim/plan/placement.h"
#include "sim/plan/placement_file.h"
#include "sim/plan/weakest_timing.h"

namespace moesim {
namespace {

std::vector<Placement> from_file(const PlacementRequest& request, const std::string& path) {
  const ShardingPlan& plan = request.scenario.plan;
  const auto experts = static_cast<int>(request.model.experts);
  const PlacementShape shape{experts, experts + plan.redundant_experts, plan.parallelism.expert};
  return placements_of_layers(read_placement(path, shape), request.trace.header.layer_ids,
                              request.model.layers.size(), path);
}

PlacementInput counts_of(const PlacementRequest& request) {
  const Scenario& scenario = request.scenario;
  const Parallelism& parallelism = scenario.plan.parallelism;
  PlacementInput input;
  input.load = expert_load(request.trace, request.planning_rows);
  input.slots = static_cast<int>(request.model.experts) + scenario.plan.redundant_experts;
  input.ranks = parallelism.expert;
  const int per_node = scenario.cluster.options.gpus_per_node;
  // Groups that share a node with others know no whole nodes of their own.
  input.nodes = parallelism.expert % per_node == 0 ? parallelism.expert / per_node : 1;
  input.groups = static_cast<int>(request.model.groups);
  input.seed = scenario.seed;
  input.tokens = {&request.trace, request.planning_rows};
  return input;
}

PlacementCluster cluster_of(const PlacementRequest& request, const RankCosts& costs) {
  const ShardingPlan& plan = request.scenario.plan;
  const Fabric& fabric = request.cluster.fabric;
  const bool within_node = fabric.same_node(Rank{0}, Rank{plan.parallelism.expert - 1});
  const auto way = [&](const std::string& algorithm, const char* direction, PayloadFormat format) {
    const ExchangeTiming timing = weakest_timing({algorithm, direction, within_node},
                                                 request.cluster, plan.parallelism.ranks);
    return PlacementCluster::Way{row_bytes(request.model.expert_hidden(), format),
                                 timing.protocol.nvlink_efficiency, timing.protocol.nic_efficiency};
  };
  PlacementCluster cluster;
  cluster.fabric = &fabric;
  cluster.costs = &costs;
  if (plan.parallelism.expert > 1) {  // else nothing is exchanged
    cluster.dispatch = way(plan.dispatch, "dispatch", plan.precision.dispatch);
    cluster.combine = way(plan.combine, "combine", plan.precision.combine);
  }
  cluster.step_copies = static_cast<double>(request.scenario.workload.tokens_per_rank) *
                        plan.parallelism.expert / plan.parallelism.tensor /
                        plan.parallelism.pipeline * static_cast<double>(request.model.top_k);
  return cluster;
}

std::vector<Placement> slots_of(const PlacementRequest& request) {
  const Scenario& scenario = request.scenario;
  if (!scenario.placement_file.empty()) return from_file(request, scenario.placement_file);
  PlacementInput input = counts_of(request);
  input.previous = request.in_place;
  if (input.previous.empty() && !scenario.previous_placement.empty())
    input.previous = from_file(request, scenario.previous_placement);
  const RankCosts costs(request.model, request.cluster, scenario.plan.parallelism,
                        scenario.plan.precision);
  input.cluster = cluster_of(request, costs);
  return Catalog<PlacementPart>::instance().at(scenario.plan.placement_strategy,
                                               "placement")(input);
}

// Of each rank's slots the most loaded stay on the GPU; a redundant copy counts for its share.
void keep_resident(const std::vector<std::vector<double>>& load,
                   const ShardingPlan& plan,
                   std::vector<Placement>& placements) {
  const auto resident = static_cast<std::size_t>(plan.resident_experts);
  for (std::size_t layer = 0; layer < placements.size(); ++layer) {
    Placement& placement = placements[layer];
    const std::size_t slots = placement.replica_of.size(),
                      local = slots / static_cast<std::size_t>(plan.parallelism.expert);
    std::vector<double> share(slots), copies(load[layer].size());
    for (const LogicalExpert expert : placement.replica_of) copies[index(expert)] += 1;
    for (std::size_t slot = 0; slot < slots; ++slot) {
      const std::size_t expert = index(placement.replica_of[slot]);
      share[slot] = load[layer][expert] / copies[expert];
    }
    placement.in_host.assign(slots, 0);
    for (std::size_t first = 0; first < slots; first += local) {
      std::vector<std::size_t> order(local);
      std::iota(order.begin(), order.end(), first);
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return share[a] > share[b]; });
      for (std::size_t i = resident; i < local; ++i) placement.in_host[order[i]] = 1;
    }
  }
}

}  // namespace

std::vector<Placement> place_experts(const PlacementRequest& request) {
  const Scenario& scenario = request.scenario;
  std::vector<Placement> placements = slots_of(request);
  if (scenario.plan.resident_experts > 0)
    keep_resident(expert_load(request.trace, request.planning_rows), scenario.plan, placements);
  return placements;
}

}  // namespace moesim
