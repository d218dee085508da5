// Sizes checked and turned into a plan.
#include "sim/memory/served_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "sim/core/error.h"

namespace moesim {
namespace {

// The numbers up to `most` that divide it.
std::vector<std::int64_t> divisors(std::int64_t most) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 1; i <= most; ++i)
    if (most % i == 0) result.push_back(i);
  return result;
}

void check_heads(const MoeModel& model, int tensor) {
  std::int64_t heads = 0;
  for (const LayerShape& layer : model.layers) heads = std::max(heads, layer.attention.heads);
  if (tensor < 1 || tensor > heads)
    throw InputError(
        fmt::format("tensor parallelism {}: {} has {} attention heads to split; 1 to "
                    "{} ranks can have some each",
                    tensor, model.name, heads, heads));
}

void check_experts(const MoeModel& model, const ServedSizes& sizes, int ranks) {
  if (sizes.expert < 1 || ranks % sizes.expert != 0)
    throw InputError(fmt::format(
        "expert parallelism {} does not divide the {} ranks of a stage (TP {} x DP {}); these do: "
        "{}",
        sizes.expert, ranks, sizes.tensor, sizes.data, fmt::join(divisors(ranks), ", ")));
  const std::int64_t slots = model.experts + sizes.redundant_experts;
  if (slots % sizes.expert != 0)
    throw InputError(fmt::format(
        "expert parallelism {} does not divide {} experts + {} redundant; {} redundant would make "
        "it",
        sizes.expert, model.experts, sizes.redundant_experts,
        sizes.redundant_experts + sizes.expert - slots % sizes.expert));
  const std::int64_t most = model.experts * (sizes.expert - 1);
  if (sizes.redundant_experts > most)
    throw InputError(fmt::format("{} redundant experts: with {} each of the {} ranks holds all {}",
                                 sizes.redundant_experts, most, sizes.expert, model.experts));
}

void check_split(const MoeModel& model, const Parallelism& ranks) {
  if (ranks.stage_ranks() % (ranks.expert * ranks.expert_tensor) != 0)
    throw InputError(
        fmt::format("EP {} with {} ranks an expert does not divide the {} ranks of a stage; these "
                    "numbers of ranks an expert do: {}",
                    ranks.expert, ranks.expert_tensor, ranks.stage_ranks(),
                    fmt::join(divisors(ranks.stage_ranks() / ranks.expert), ", ")));
  if (ranks.expert_tensor > model.expert_width)
    throw InputError(fmt::format("{} ranks an expert: its width is {}", ranks.expert_tensor,
                                 model.expert_width));
}

int feed_forward_ranks(const ServedSizes& sizes, ServingEngine engine) {
  if (engine == ServingEngine::none) return 1;
  if (engine != ServingEngine::sglang || sizes.data == 1) return sizes.tensor;
  return sizes.expert > 1 ? 1 : sizes.tensor * sizes.data;
}

Placement by_number(const MoeModel& model, const ServedSizes& sizes) {
  Placement placement;
  const auto experts = static_cast<int>(model.experts), slots = experts + sizes.redundant_experts;
  const int of_rank = slots / sizes.expert,
            resident = sizes.resident_experts == 0 ? of_rank : sizes.resident_experts;
  for (int slot = 0; slot < slots; ++slot) {
    const bool in_host = slot % of_rank >= resident;
    placement.replica_of.push_back(in_host ? kNoExpert : LogicalExpert{slot % experts});
    placement.rank_of.push_back(Rank{slot / of_rank});
  }
  return placement;
}

}  // namespace

ShardingPlan served_plan(const MoeModel& model,
                         const ServedSizes& sizes,
                         const EngineMemory& memory) {
  check_heads(model, sizes.tensor);
  const int of_stage = sizes.tensor * sizes.data;
  check_experts(model, sizes, of_stage);
  if (sizes.pipeline < 1 || sizes.pipeline > static_cast<int>(model.layers.size()))
    throw InputError(fmt::format("{} pipeline stages: {} has {} layers", sizes.pipeline, model.name,
                                 model.layers.size()));
  ShardingPlan plan;
  plan.parallelism.ranks = of_stage * sizes.pipeline;
  plan.parallelism.tensor = sizes.tensor;
  plan.parallelism.expert = sizes.expert;
  plan.parallelism.pipeline = sizes.pipeline;
  plan.parallelism.expert_tensor =
      sizes.expert_tensor != 0 ? sizes.expert_tensor : of_stage / sizes.expert;
  plan.parallelism.feed_forward_tensor = feed_forward_ranks(sizes, memory.engine);
  plan.parallelism.context = sizes.context;
  check_split(model, plan.parallelism);
  if (const std::string refusal = context_refusal(plan.parallelism, model); !refusal.empty())
    throw InputError("context parallelism " + refusal);
  plan.redundant_experts = sizes.redundant_experts;
  plan.placement = {by_number(model, sizes)};
  plan.precision.experts = model.expert_format;
  plan.precision.dense = model.dense_format;
  plan.precision.attention = model.attention_format;
  plan.memory = memory;
  return plan;
}

}  // namespace moesim
