// Stages of a pipeline: which layers and which ranks each has.
#pragma once

#include <cstddef>
#include <span>

#include "sim/model/moe_model.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// What one stage of a pipeline holds: layers first .. last - 1, all but one of the last stages one
// layer more where they do not divide evenly (as vLLM deals them); the first has the embedding, the
// last the head and the multi-token prediction module.
struct StageLayers {
  std::size_t first = 0, last = 0;
  bool embeds = true, heads = true;
  std::span<const LayerShape> of(const MoeModel& model) const;
};
StageLayers stage_layers(const MoeModel& model, const Parallelism& parallelism, int stage);
StageLayers all_layers(const MoeModel& model);

// Ranks of the pool that make a stage.
RankRange stage_range(const Parallelism& parallelism, int stage);

}  // namespace moesim
