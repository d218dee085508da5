// MoE layers side by side on threads: count copies, load links, cost the experts.
#include "sim/plan/moe_layers.h"

#include <algorithm>
#include <atomic>
#include <future>

namespace moesim {
namespace {

bool groups_within_node(const StepInputs& inputs) {
  const Parallelism& parallelism = inputs.plan.parallelism;
  const Fabric& fabric = inputs.cluster.fabric;
  for (int first = 0; first < parallelism.ranks; first += parallelism.expert)
    if (fabric.node_of(Rank{first}) != fabric.node_of(Rank{first + parallelism.expert - 1}))
      return false;
  return true;
}

struct MoeExchanges {
  ExchangeInputs dispatch, combine;
};

MoeExchanges choose_exchanges(const StepInputs& inputs, const Batch& batch) {
  const ShardingPlan& plan = inputs.plan;
  const ExchangeShape shape = exchange_shape(inputs, batch);
  const bool within_node = groups_within_node(inputs);
  const auto& catalog = Catalog<AllToAllPart>::instance();
  const auto exchange = [&](const std::string& name, const std::string& direction) {
    const AllToAllPart& part = catalog.at(name, "all-to-all");
    return ExchangeInputs{
        name,
        direction == "dispatch" ? part.dispatch(shape) : part.combine(shape),
        exchange_timing(name, direction, within_node, inputs.cluster.accelerator.name),
        shape.physical_experts,
        shape.ranks - 1,
        inputs.keep_flows};
  };
  return {exchange(plan.dispatch, "dispatch"), exchange(plan.combine, "combine")};
}

// Loads by logical expert and by rank, and the time of each rank's experts.
void cost_experts(const StepInputs& inputs,
                  const Placement& placement,
                  const RoutedCopies& copies,
                  MoeLayerWork& work) {
  const auto ranks = static_cast<std::size_t>(copies.ranks);
  const std::size_t slots = placement.replica_of.size();
  const std::size_t local = copies.per_physical_expert.size() / ranks;
  work.load.by_expert.assign(static_cast<std::size_t>(inputs.trace.header.experts), 0);
  work.load.by_rank.assign(ranks, 0);
  work.basis = Basis::exact;
  for (std::size_t slot = 0; slot < copies.per_physical_expert.size(); ++slot) {
    work.load.by_expert[index(placement.replica_of[slot % slots])] +=
        copies.per_physical_expert[slot];
    work.load.by_rank[slot / local] += copies.per_physical_expert[slot];
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const KernelCost cost =
        inputs.costs.expert_ffn(std::span(copies.per_physical_expert).subspan(rank * local, local));
    work.expert_ffn.push_back(cost.time);
    work.basis = weaker(work.basis, cost.basis);
  }
}

}  // namespace

ExchangeShape exchange_shape(const StepInputs& inputs, const Batch& batch) {
  const ShardingPlan& plan = inputs.plan;
  const auto tensor = static_cast<std::size_t>(plan.parallelism.tensor);
  std::size_t largest = 0;
  for (const auto& rows : batch.rows)
    largest = std::max(largest, (rows.size() + tensor - 1) / tensor);
  ExchangeShape shape;
  shape.hidden = inputs.model.expert_hidden();
  shape.ranks = plan.parallelism.expert;
  shape.ranks_per_node = inputs.cluster.fabric.ranks_per_node;
  shape.physical_experts = static_cast<int>(inputs.model.experts) + plan.redundant_experts;
  shape.top_k = static_cast<int>(inputs.model.top_k);
  shape.max_tokens_per_rank = plan.max_tokens_per_rank != 0
                                  ? plan.max_tokens_per_rank
                                  : static_cast<int>((largest + 127) / 128 * 128);
  shape.dispatch = plan.precision.dispatch;
  shape.combine = plan.precision.combine;
  return shape;
}

std::vector<MoeLayerWork> work_moe_layers(const StepInputs& inputs,
                                          const Batch& batch,
                                          const FabricPaths& paths,
                                          std::size_t layers) {
  const RoutingInputs routing{inputs.trace, batch, inputs.plan,
                              static_cast<std::size_t>(inputs.cluster.fabric.ranks_per_node)};
  const MoeExchanges exchanges = choose_exchanges(inputs, batch);
  std::vector<MoeLayerWork> works(layers);
  std::atomic<std::size_t> next_layer{0};
  const auto run = [&] {
    std::vector<RoutedCopies> scratch(kLayersPerPass);
    for (std::size_t first; (first = next_layer.fetch_add(kLayersPerPass)) < layers;) {
      const auto pass = std::span(scratch).first(std::min(kLayersPerPass, layers - first));
      count_copies(routing, first, pass);
      const auto routed = count_routed_choices(routing, first, pass.size());
      for (std::size_t i = 0; i < pass.size(); ++i) {
        MoeLayerWork& work = works[first + i];
        work.load.trace_layer = static_cast<int>(first + i);
        work.routed_choices = routed[i];
        work.dispatch = make_exchange(paths, pass[i], exchanges.dispatch);
        work.combine = make_exchange(paths, pass[i], exchanges.combine);
        cost_experts(inputs, inputs.plan.placement[first + i], pass[i], work);
      }
    }
  };
  std::vector<std::future<void>> helpers;
  for (int helper = 1; helper < inputs.threads; ++helper)
    helpers.push_back(std::async(std::launch::async, run));
  run();
  for (std::future<void>& helper : helpers) helper.get();
  return works;
}

}  // namespace moesim
