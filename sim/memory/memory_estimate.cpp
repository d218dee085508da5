// The ledger of a plan, and of the same plan with one thing changed.
#include "sim/memory/memory_estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/memory/rank_memory.h"
#include "sim/memory/served_plan.h"
#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

constexpr std::int64_t kLongest = std::int64_t{1} << 24;  // tokens; beyond any model's context

// What does not change with the plan.
struct Deployment {
  const MoeModel& model;
  const Accelerator& accelerator;
  const ServedLoad& load;

  MemoryLedger ledger(const ShardingPlan& plan, std::int64_t requests) const {
    Batch batch;
    BatchEntry entry;
    entry.context = static_cast<int>(load.context - 1);
    batch.by_rank.assign(static_cast<std::size_t>(plan.parallelism.data()),
                         std::vector<BatchEntry>(
                             static_cast<std::size_t>(std::max<std::int64_t>(requests, 0)), entry));
    return build_ledger(model, {{accelerator.name, accelerator.memory}}, plan, {batch},
                        served_buffers(model, accelerator, plan, load));
  }
  AdmittedCache admitted(const ShardingPlan& plan) const {
    return admitted_cache(ledger(plan, 0), model, plan, load.context);
  }
  // Requests whose cache and activations fit: without an engine, activations grow with them.
  std::int64_t most_requests(const ShardingPlan& plan) const {
    std::int64_t high = admitted(plan).requests;
    if (plan.memory.engine != ServingEngine::none) return high;
    std::int64_t low = 0;
    while (low < high) {
      const std::int64_t middle = (low + high + 1) / 2;
      if (ledger(plan, middle).fits) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

ServedSizes sizes_of(const Parallelism& ranks) {
  ServedSizes sizes;
  sizes.tensor = ranks.tensor;
  sizes.data = ranks.data();
  sizes.pipeline = ranks.pipeline;
  sizes.expert = ranks.expert;
  sizes.expert_tensor = ranks.expert_tensor;
  sizes.context = ranks.context;
  return sizes;
}

ShardingPlan with_redundant(const Deployment& deployment, const ShardingPlan& plan, int redundant) {
  const Parallelism& ranks = plan.parallelism;
  ServedSizes sizes = sizes_of(ranks);
  sizes.redundant_experts = redundant;
  ShardingPlan changed = plan;
  changed.redundant_experts = redundant;
  changed.placement = served_plan(deployment.model, sizes, plan.memory).placement;
  return changed;
}

// The most redundant experts, one slot a rank at a time, with which the requests fit.
std::int64_t most_redundant(const Deployment& deployment,
                            const ShardingPlan& plan,
                            std::int64_t requests) {
  const int ranks = plan.parallelism.expert, experts = static_cast<int>(deployment.model.experts);
  const int least = (ranks - experts % ranks) % ranks, most = experts * (ranks - 1);
  if (most < least) return -1;
  int low = -1, high = (most - least) / ranks;  // slots a rank beyond the least; low fits
  while (low < high) {
    const int middle = low + (high - low + 1) / 2;
    const ShardingPlan changed = with_redundant(deployment, plan, least + middle * ranks);
    if (deployment.ledger(changed, requests).fits) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low < 0 ? -1 : least + low * ranks;
}

struct Alternative {
  std::string what;
  ShardingPlan plan;
};

void propose_formats(const ShardingPlan& plan, std::vector<Alternative>& alternatives) {
  if (plan.precision.kv_cache != WeightFormat::fp8) {
    alternatives.push_back({"fp8 KV cache", plan});
    alternatives.back().plan.precision.kv_cache = WeightFormat::fp8;
  }
  if (bytes_per_weight(plan.precision.experts) > bytes_per_weight(WeightFormat::fp8)) {
    alternatives.push_back({"fp8 experts", plan});
    alternatives.back().plan.precision.experts = WeightFormat::fp8;
  }
}

void propose_engine(const ShardingPlan& plan, std::vector<Alternative>& alternatives) {
  const EngineMemory& memory = plan.memory;
  if (memory.mtp) {
    alternatives.push_back({"no multi-token prediction", plan});
    alternatives.back().plan.memory.mtp = false;
  }
  if (memory.engine == ServingEngine::none) return;
  if (memory.fraction <= 0.93) {
    const double larger = memory.fraction + 0.05;
    alternatives.push_back({fmt::format("memory fraction {:.2f}", larger), plan});
    alternatives.back().plan.memory.fraction = larger;
  }
  if (memory.engine != ServingEngine::sglang && memory.prefill_chunk > 1024) {
    const int smaller = memory.prefill_chunk / 2;
    alternatives.push_back({fmt::format("prefill chunk of {}", smaller), plan});
    alternatives.back().plan.memory.prefill_chunk = smaller;
  }
}

void propose_sizes(const Deployment& deployment,
                   const ShardingPlan& plan,
                   std::vector<Alternative>& alternatives) {
  const MoeModel& model = deployment.model;
  const Parallelism& ranks = plan.parallelism;
  if (plan.redundant_experts >= ranks.expert && ranks.expert > 1) {
    const int fewer = plan.redundant_experts - ranks.expert;
    alternatives.push_back(
        {fmt::format("{} redundant experts", fewer), with_redundant(deployment, plan, fewer)});
  }
  const std::int64_t slots = model.experts + plan.redundant_experts;
  if (ranks.expert == 1 || ranks.expert_tensor > 1 || slots % ranks.expert != 0 ||
      slots / ranks.expert % 2 != 0)
    return;
  ServedSizes sizes = sizes_of(ranks);
  sizes.data *= 2;
  sizes.expert *= 2;
  sizes.redundant_experts = plan.redundant_experts;
  sizes.resident_experts = deployment.load.resident_experts;
  ShardingPlan wider = served_plan(model, sizes, plan.memory);
  wider.precision = plan.precision;
  wider.parallelism.feed_forward_tensor = ranks.feed_forward_tensor;
  alternatives.push_back(
      {fmt::format("EP {} on {} GPUs", sizes.expert, wider.parallelism.ranks), wider});
}

// An expert is needed where any of the group's tokens chooses it.
HostExperts host_experts(const Deployment& deployment,
                         const ShardingPlan& plan,
                         std::int64_t requests) {
  HostExperts host;
  const MoeModel& model = deployment.model;
  const Parallelism& ranks = plan.parallelism;
  const std::int64_t slots = (model.experts + plan.redundant_experts) / ranks.expert,
                     resident = deployment.load.resident_experts;
  if (resident == 0 || resident >= slots) return host;
  host.of_layer = slots - resident;
  const double expert = expert_bytes(model, plan).value,
               layers = static_cast<double>(model.moe_layers().size()) / ranks.pipeline;
  host.bytes = Bytes(static_cast<double>(host.of_layer) * layers * expert);
  const double tokens = static_cast<double>(requests) * ranks.expert * ranks.expert_tensor /
                        ranks.tensor,
               chosen = static_cast<double>(model.top_k) /
                        static_cast<double>(model.experts + plan.redundant_experts);
  host.misses = static_cast<double>(host.of_layer) * (1 - std::pow(1 - chosen, tokens));
  host.transfers = Bytes(host.misses * layers * expert) / deployment.accelerator.pcie;
  return host;
}

}  // namespace

Bytes served_buffers(const MoeModel& model,
                     const Accelerator& accelerator,
                     const ShardingPlan& plan,
                     const ServedLoad& load) {
  if (load.all_to_all.empty() || plan.parallelism.expert == 1) return Bytes(0);
  ExchangeShape shape;
  shape.hidden = model.expert_hidden();
  shape.ranks = plan.parallelism.expert;
  shape.ranks_per_node = accelerator.gpus_per_node;
  shape.physical_experts = static_cast<int>(model.experts) + plan.redundant_experts;
  shape.top_k = static_cast<int>(model.top_k);
  shape.max_tokens_per_rank = load.max_tokens_per_rank;
  shape.dispatch = plan.precision.dispatch;
  shape.combine = plan.precision.combine;
  const auto& part = Catalog<AllToAllPart>::instance().at(load.all_to_all, "all-to-all algorithm");
  shape.sms = part.default_sms;
  return part.buffer_bytes(shape);
}

MemoryEstimate estimate_memory(const MoeModel& model,
                               const Accelerator& accelerator,
                               const ShardingPlan& plan,
                               const ServedLoad& load) {
  const Deployment deployment{model, accelerator, load};
  MemoryEstimate estimate;
  estimate.admitted = deployment.admitted(plan);
  estimate.requests = load.batch ? *load.batch : deployment.most_requests(plan);
  estimate.ledger = deployment.ledger(plan, estimate.requests);
  const MemoryLedger empty = deployment.ledger(plan, 0);
  estimate.longest_of_one = longest_context(empty, model, plan, 1, kLongest);
  const std::int64_t requests = std::max<std::int64_t>(estimate.requests, 1);
  estimate.longest_of_requests = longest_context(empty, model, plan, requests, kLongest);
  estimate.most_redundant = most_redundant(deployment, plan, estimate.requests);
  estimate.host = host_experts(deployment, plan, estimate.requests);
  std::vector<Alternative> alternatives;
  propose_formats(plan, alternatives);
  propose_engine(plan, alternatives);
  propose_sizes(deployment, plan, alternatives);
  for (const Alternative& alternative : alternatives) {
    const AdmittedCache admitted = deployment.admitted(alternative.plan);
    const MemoryLedger ledger = deployment.ledger(alternative.plan, estimate.requests);
    estimate.changes.push_back({alternative.what, admitted.room,
                                ledger.headroom - estimate.ledger.headroom, admitted.tokens,
                                ledger.fits});
  }
  return estimate;
}

}  // namespace moesim
