// The laws of a sharding plan that need nothing but the plan and the model's counts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {
namespace {

// `allowed` sorted; the largest at most `wanted` and the smallest above it, as text.
std::string nearest_sizes(const std::vector<int>& allowed, int wanted) {
  const auto above = std::upper_bound(allowed.begin(), allowed.end(), wanted);
  std::vector<int> nearest;
  if (above != allowed.begin()) nearest.push_back(*(above - 1));
  if (above != allowed.end()) nearest.push_back(*above);
  return fmt::format("{}", fmt::join(nearest, " and "));
}

// Sizes that divide `count` and, unless that is zero, `other` as well.
std::vector<int> divisors(int count, std::int64_t other) {
  std::vector<int> result;
  for (int size = 1; size <= count; ++size)
    if (count % size == 0 && other % size == 0) result.push_back(size);
  return result;
}

[[noreturn]] void refuse(const char* key, const std::string& message) {
  throw InputError({"", 0, 0, key}, message);
}

// "32 ranks", "16 ranks of a pipeline stage".
std::string ranks_text(const Parallelism& parallelism) {
  return fmt::format("{} ranks{}", parallelism.stage_ranks(),
                     parallelism.pipeline > 1 ? " of a pipeline stage" : "");
}

void check_tensor(const Parallelism& parallelism) {
  const int tensor = parallelism.tensor, ranks = parallelism.stage_ranks();
  if (tensor >= 1 && ranks % tensor == 0) return;
  refuse("plan.tensor_parallel",
         fmt::format("{} does not divide the {}; the nearest that do: {}", tensor,
                     ranks_text(parallelism), nearest_sizes(divisors(ranks, 0), tensor)));
}

// Steps are timed with experts on ranks, or each of them split over the tensor-parallel group.
void check_expert_tensor(const Parallelism& parallelism, std::int64_t width) {
  const int split = parallelism.expert_tensor;
  if (split == 1) return;
  if (split > width)
    refuse("plan.expert_tensor_parallel",
           fmt::format("{} exceeds the width of an expert, {}", split, width));
  if (parallelism.expert != 1 || split != parallelism.tensor)
    refuse("plan.expert_tensor_parallel",
           fmt::format("{} with tensor_parallel {} and expert_parallel {}: experts are split over "
                       "the tensor-parallel group, which needs tensor_parallel {} and "
                       "expert_parallel 1",
                       split, parallelism.tensor, parallelism.expert, split));
}

void check_resident(const ShardingPlan& plan, std::int64_t experts) {
  const std::int64_t of_rank = (experts + plan.redundant_experts) / plan.parallelism.expert;
  if (plan.resident_experts >= 0 && plan.resident_experts <= of_rank) return;
  refuse("plan.resident_experts",
         fmt::format("{}: a rank holds {} experts of a layer; 1 to {} of them can stay on the GPU",
                     plan.resident_experts, of_rank, of_rank));
}

void check_redundant(const ShardingPlan& plan, std::int64_t experts) {
  const std::int64_t most = experts * (plan.parallelism.expert - 1);
  if (plan.redundant_experts <= most) return;
  refuse("plan.redundant_experts",
         fmt::format("{} is too many: at {} each of the {} ranks of an EP group holds all {} "
                     "experts",
                     plan.redundant_experts, most, plan.parallelism.expert, experts));
}

void check_expert(const ShardingPlan& plan, std::int64_t experts) {
  const int ranks = plan.parallelism.stage_ranks(), expert = plan.parallelism.expert;
  const std::string of_ranks = ranks_text(plan.parallelism);
  const std::int64_t slots = experts + plan.redundant_experts;
  std::string reason;
  if (expert < 1)
    reason = "is below 1";
  else if (expert > ranks)
    reason = fmt::format("exceeds the {}", of_ranks);
  else if (ranks % expert != 0)
    reason = fmt::format("does not divide the {}", of_ranks);
  else if (slots % expert != 0)
    reason = fmt::format(
        "does not divide the {} slots ({} experts + {} redundant; {} redundant "
        "would make it)",
        slots, experts, plan.redundant_experts, plan.redundant_experts + expert - slots % expert);
  else
    return;
  refuse("plan.expert_parallel",
         fmt::format("{} {}; the nearest sizes that divide ranks and slots: {}", expert, reason,
                     nearest_sizes(divisors(ranks, slots), expert)));
}

}  // namespace

std::int64_t layers_replaying(const MoeModel& model, const ShardingPlan& plan, std::size_t layer) {
  const std::size_t size = plan.placement.size();
  return static_cast<std::int64_t>((model.moe_layers().size() + size - 1 - layer) / size);
}

void check_pipeline(const Parallelism& parallelism, const MoeModel& model) {
  const int stages = parallelism.pipeline, ranks = parallelism.ranks;
  if (stages < 1 || ranks % stages != 0)
    refuse("plan.pipeline_parallel",
           fmt::format("{} does not divide the {} ranks; the nearest that do: {}", stages, ranks,
                       nearest_sizes(divisors(ranks, 0), stages)));
  if (stages > 1 && static_cast<std::size_t>(stages) > model.layers.size())
    refuse("plan.pipeline_parallel", fmt::format("{} stages are more than the {} layers of {}",
                                                 stages, model.layers.size(), model.name));
}

void check_plan(const ShardingPlan& plan, const MoeModel& model) {
  if (plan.parallelism.ranks < 1)
    refuse("cluster.nodes", fmt::format("a plan needs ranks, not {}", plan.parallelism.ranks));
  check_pipeline(plan.parallelism, model);
  check_tensor(plan.parallelism);
  if (plan.redundant_experts < 0)
    refuse("plan.redundant_experts",
           fmt::format("{} is below 0, the least allowed", plan.redundant_experts));
  check_context(plan.parallelism, model);
  check_expert(plan, model.experts);
  check_expert_tensor(plan.parallelism, model.expert_width);
  check_redundant(plan, model.experts);
  check_resident(plan, model.experts);
}

}  // namespace moesim
