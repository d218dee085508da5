// Slots of experts that each rank of a pool holds.
#include <algorithm>
#include <set>
#include <span>

#include "sim/core/error.h"
#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

// Adds the slots of one layer's placement, which stands for `layers` model layers, to the ranks of
// one EP group, `split` of which share each slot.
void count_layer(const Placement& placement,
                 std::int64_t layers,
                 std::size_t split,
                 std::span<SlotCount> by_rank) {
  std::set<LogicalExpert> seen;
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
    if (placement.replica_of[slot] == kNoExpert) continue;
    const bool first = seen.insert(placement.replica_of[slot]).second;
    if (!placement.in_host.empty() && placement.in_host[slot] != 0) continue;
    for (SlotCount& rank : by_rank.subspan(index(placement.rank_of[slot]) * split, split))
      (first ? rank.first : rank.redundant) += layers;
  }
}

// MoE layers of a stage that replay trace layer `layer`.
std::int64_t replaying(const MoeModel& model,
                       const ShardingPlan& plan,
                       std::size_t layer,
                       const StageLayers& stage) {
  const std::vector<std::size_t> moe = model.moe_layers();
  std::int64_t count = 0;
  for (std::size_t i = layer; i < moe.size(); i += plan.placement.size())
    count += moe[i] >= stage.first && moe[i] < stage.last ? 1 : 0;
  return count;
}

}  // namespace

std::vector<SlotCount> count_slots(const MoeModel& model, const ShardingPlan& plan) {
  if (plan.placement.empty()) throw CheckError("the memory ledger needs a plan with a placement");
  const Parallelism& parallelism = plan.parallelism;
  std::vector<SlotCount> count(static_cast<std::size_t>(parallelism.ranks));
  const auto split = static_cast<std::size_t>(parallelism.expert_tensor);
  const std::size_t ranks = static_cast<std::size_t>(parallelism.expert) * split;
  const auto of_stage = static_cast<std::size_t>(parallelism.stage_ranks());
  for (std::size_t first = 0; first < count.size(); first += ranks) {
    if (first % of_stage != 0 && plan.group_placement.empty()) {  // as the group before
      std::copy_n(&count[first - ranks], ranks, &count[first]);
      continue;
    }
    const StageLayers stage = stage_layers(model, parallelism, static_cast<int>(first / of_stage));
    for (std::size_t i = 0; i < plan.placement.size(); ++i)
      count_layer(plan.placement_of(i, first / ranks), replaying(model, plan, i, stage), split,
                  std::span(count).subspan(first, ranks));
  }
  return count;
}

}  // namespace moesim
