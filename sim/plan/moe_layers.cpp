// MoE layers side by side on threads: count copies, load links, cost the experts.
#include "sim/plan/moe_layers.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "sim/core/on_threads.h"
#include "sim/cost/held_sms.h"
#include "sim/plan/migration.h"
#include "sim/plan/weakest_timing.h"

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

// How one direction's exchanges are made, but for the rows, which each layer has its own of.
struct Direction {
  const AllToAllPart* part = nullptr;
  const AllToAllPart::Traffic* traffic = nullptr;
  ExchangeShape shape;
  ExchangeInputs inputs;
};

struct MoeExchanges {
  Direction dispatch, combine;
};

KernelMix mix_of(const Batch& batch) {
  for (const auto& entries : batch.by_rank)
    for (const BatchEntry& entry : entries)
      if (entry.phase == Phase::decode) return KernelMix::mixed;
  return KernelMix::compute;
}

MoeExchanges choose_exchanges(const StepInputs& inputs, const Batch& batch) {
  const ShardingPlan& plan = inputs.plan;
  MoeExchanges exchanges;
  const bool within_node = groups_within_node(inputs);
  const KernelMix mix = mix_of(batch);
  const auto& catalog = Catalog<AllToAllPart>::instance();
  const auto choose = [&](const std::string& name, const std::string& direction) {
    Direction chosen;
    chosen.part = &catalog.at(name, "all-to-all");
    chosen.traffic = direction == "dispatch" ? &chosen.part->dispatch : &chosen.part->combine;
    chosen.shape = exchange_shape(inputs, batch, *chosen.part);
    chosen.inputs.algorithm = name;
    chosen.inputs.timing =
        weakest_timing({name, direction, within_node}, inputs.cluster, plan.parallelism.ranks);
    chosen.inputs.experts = chosen.shape.physical_experts;
    chosen.inputs.sm_speed = sm_speed(chosen.shape.sms, chosen.part->default_sms);
    chosen.inputs.speed_taken = speed_taken(chosen.shape.sms, inputs.costs.of_kind(0).sms(), mix);
    chosen.inputs.memory_bandwidth = inputs.cluster.accelerator.memory_bandwidth;
    chosen.inputs.peers = chosen.shape.ranks - 1;
    chosen.inputs.keep_flows = inputs.keep_flows;
    chosen.inputs.keep_shares = inputs.keep_shares;
    return chosen;
  };
  exchanges.dispatch = choose(plan.dispatch, "dispatch");
  exchanges.combine = choose(plan.combine, "combine");
  return exchanges;
}

// Experts that move travel beside the first stage's rows; what it carries then follows no copies.
void add_migration(const StepInputs& inputs, std::size_t layer, ExchangeTraffic& traffic) {
  if (inputs.migration == nullptr || !inputs.migration->replicas.at(layer)) return;
  traffic.legs.push_back({inputs.migration->replicas[layer], inputs.migration->expert_bytes});
  traffic.row_per_copy = false;
}

// The stages of one direction in one layer.
template <class Beside>
std::vector<Exchange> exchanges_of(const FabricPaths& paths,
                                   const Direction& direction,
                                   bool keep_flows,
                                   const std::shared_ptr<const RoutedCopies>& routed,
                                   const Beside& beside) {
  ExchangeInputs inputs = direction.inputs;
  inputs.keep_flows = inputs.keep_flows && keep_flows;
  std::vector<ExchangeTraffic> stages = (*direction.traffic)(direction.shape, routed);
  beside(stages.front());
  return make_stages(paths, routed->ranks, std::move(inputs), std::move(stages));
}

// Loads by logical expert and by rank, and the time of each rank's experts.
void cost_experts(const StepInputs& inputs, const RoutedCopies& copies, MoeLayerWork& work) {
  const auto ranks = static_cast<std::size_t>(copies.ranks);
  const auto layer = static_cast<std::size_t>(work.load.trace_layer);
  const std::size_t slots = inputs.plan.placement_of(layer, 0).replica_of.size();
  const std::size_t local = copies.per_physical_expert.size() / ranks;
  work.load.by_expert.assign(static_cast<std::size_t>(inputs.trace.header.experts), 0);
  work.load.by_rank.assign(ranks, 0);
  work.basis = Basis::exact;
  for (std::size_t slot = 0; slot < copies.per_physical_expert.size(); ++slot) {
    if (copies.per_physical_expert[slot] == 0) continue;
    const Placement& placement = inputs.plan.placement_of(layer, slot / slots);
    work.load.by_expert[index(placement.replica_of[slot % slots])] +=
        copies.per_physical_expert[slot];
    work.load.by_rank[slot / local] += copies.per_physical_expert[slot];
  }
  // Ranks that split every expert compute the copies of all of them.
  const auto split = static_cast<std::size_t>(inputs.plan.parallelism.expert_tensor);
  // A group of one rank exchanges nothing: the rows come as they do after no exchange.
  const std::string dispatch = inputs.plan.parallelism.expert > 1 ? inputs.plan.dispatch : "";
  std::vector<std::uint32_t> shared(split > 1 ? local : 0);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const KernelCosts& costs = inputs.costs.of_kind(inputs.costs.kind_of(id_of<Rank>(rank)));
    std::span<const std::uint32_t> counts =
        std::span(copies.per_physical_expert).subspan(rank * local, local);
    if (split > 1) {
      if (rank % split == 0) {
        std::fill(shared.begin(), shared.end(), 0);
        for (std::size_t i = 0; i < split * local; ++i)
          shared[i % local] += copies.per_physical_expert[rank * local + i];
      }
      counts = shared;
    }
    const KernelCost cost = costs.expert_ffn(counts, costs.layout_after(dispatch));
    work.expert_ffn.push_back(inputs.costs.slow_of(id_of<Rank>(rank)) * cost.time);
    work.launches = std::max(work.launches, cost.launches);
    work.basis = weaker(work.basis, cost.basis);
  }
}

// Every expert in host memory that a token goes to is copied over PCIe, once a step.
void fetch_experts(const StepInputs& inputs, const RoutedCopies& copies, MoeLayerWork& work) {
  const auto layer = static_cast<std::size_t>(work.load.trace_layer);
  const std::size_t slots = inputs.plan.placement_of(layer, 0).replica_of.size();
  if (inputs.plan.placement_of(layer, 0).in_host.empty()) return;
  const auto ranks = static_cast<std::size_t>(copies.ranks);
  const std::size_t local = copies.per_physical_expert.size() / ranks;
  work.fetch.assign(ranks, Seconds(0));
  for (std::size_t slot = 0; slot < copies.per_physical_expert.size(); ++slot) {
    const Placement& placement = inputs.plan.placement_of(layer, slot / slots);
    if (copies.per_physical_expert[slot] == 0 || placement.in_host[slot % slots] == 0) continue;
    const Accelerator& gpu = inputs.cluster.accelerator_of(id_of<Rank>(slot / local));
    work.fetch[slot / local] += inputs.expert_bytes / gpu.pcie;
    work.load.fetched += inputs.expert_bytes;
  }
}

// All but what the trace's rows say by themselves.
void work_layer(const StepInputs& inputs,
                const FabricPaths& paths,
                const MoeExchanges& exchanges,
                const std::shared_ptr<const RoutedCopies>& copies,
                MoeLayerWork& work) {
  const auto layer = static_cast<std::size_t>(work.load.trace_layer);
  if (inputs.count_reach) {
    work.load.ranks_reached = copies->rank_tokens.total();
    work.load.nodes_reached = copies->node_tokens.total();
  }
  const bool flows = layer % inputs.flows_every == 0;
  work.dispatch =
      exchanges_of(paths, exchanges.dispatch, flows, copies,
                   [&](ExchangeTraffic& traffic) { add_migration(inputs, layer, traffic); });
  work.combine = exchanges_of(paths, exchanges.combine, flows, copies, [](ExchangeTraffic&) {});
  cost_experts(inputs, *copies, work);
  fetch_experts(inputs, *copies, work);
}

}  // namespace

ExchangeShape exchange_shape(const StepInputs& inputs,
                             const Batch& batch,
                             const AllToAllPart& algorithm) {
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
  shape.capacity_factor = plan.capacity_factor;
  if (algorithm.default_sms > 0)
    shape.sms = plan.exchange_sms > 0 ? plan.exchange_sms : algorithm.default_sms;
  return shape;
}

std::vector<MoeLayerWork> work_moe_layers(const StepInputs& inputs,
                                          const Batch& batch,
                                          const FabricPaths& paths,
                                          const TraceLayers& layers) {
  const MoeExchanges exchanges = choose_exchanges(inputs, batch);
  const RoutingInputs routing{inputs.trace, batch, inputs.plan,
                              static_cast<std::size_t>(inputs.cluster.fabric.ranks_per_node),
                              inputs.count_reach || exchanges.dispatch.part->needs_tokens ||
                                  exchanges.combine.part->needs_tokens};
  const auto threads = static_cast<std::size_t>(std::max(inputs.threads, 1));
  const std::size_t at_once = ExpertChoices::layers_at_once(routing, threads);
  std::vector<MoeLayerWork> works(layers.all);
  for (std::size_t first = layers.first; first < layers.last; first += at_once) {
    const ExpertChoices choices(routing, first, std::min(at_once, layers.last - first), threads);
    std::atomic<std::size_t> next{0};
    on_threads(threads, [&](std::size_t) {
      const auto copies = std::make_shared<RoutedCopies>();
      for (std::size_t layer; (layer = next.fetch_add(1)) < choices.layers();) {
        count_copies(routing, choices, layer, *copies);
        MoeLayerWork& work = works[first + layer];
        work.load.trace_layer = static_cast<int>(first + layer);
        work.load.tokens = static_cast<std::int64_t>(batch.tokens());
        work.routed_choices = choices.routed()[layer];
        work_layer(inputs, paths, exchanges, copies, work);
      }
    });
  }
  return works;
}

}  // namespace moesim
