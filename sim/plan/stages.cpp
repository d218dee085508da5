// Layers dealt over stages as vLLM does (get_pp_indices in vllm/distributed/utils.py).
#include "sim/plan/stages.h"

namespace moesim {

std::span<const LayerShape> StageLayers::of(const MoeModel& model) const {
  return std::span(model.layers).subspan(first, last - first);
}

StageLayers stage_layers(const MoeModel& model, const Parallelism& parallelism, int stage) {
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  const std::int64_t stages = parallelism.pipeline, left_over = layers % stages;
  StageLayers result;
  for (std::int64_t i = 0; i <= stage; ++i) {
    const std::int64_t from_last = stages - 1 - i;  // the last stage has the head besides
    const bool one_more = left_over > 0 && from_last >= 1 && from_last <= left_over;
    result.first = result.last;
    result.last += static_cast<std::size_t>(layers / stages + (one_more ? 1 : 0));
  }
  result.embeds = stage == 0;
  result.heads = stage + 1 == stages;
  return result;
}

StageLayers all_layers(const MoeModel& model) { return stage_layers(model, {}, 0); }

RankRange stage_range(const Parallelism& parallelism, int stage) {
  const int first = stage * parallelism.stage_ranks();
  return {first, first + parallelism.stage_ranks()};
}

}  // namespace moesim
