// Fills the input of a placement strategy from a scenario.
#include "sim/study/place_experts.h"

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

}  // namespace

std::vector<Placement> place_experts(const PlacementRequest& request) {
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

}  // namespace moesim
