// Weights that one rank of a training plan holds.
#pragma once

#include "sim/model/moe_model.h"
#include "sim/train/training_plan.h"

namespace moesim {

// Those that all ranks of its DP group hold, and those of its experts. Attention, dense parts and
// shared experts are split over the TP group.
struct RankParameters {
  double dense = 0, experts = 0;

  RankParameters& operator+=(const RankParameters& more) {
    dense += more.dense;
    experts += more.experts;
    return *this;
  }
  double all() const { return dense + experts; }
};

// bf16 weights and f32 gradients of all a rank holds; master weights and two moments in f32, shared
// out over the ranks that hold the same (the distributed optimizer).
inline constexpr double kWeightBytes = 2, kGradientBytes = 4, kOptimizerBytes = 12;

RankParameters layer_parameters(const MoeModel& model,
                                const TrainingPlan& plan,
                                const LayerShape& layer);
// Input embedding; head and final norm, with the multi-token prediction module where the plan has
// it. A head that is the embedding counts where the embedding is not.
RankParameters embedding_parameters(const MoeModel& model, const TrainingPlan& plan);
RankParameters head_parameters(const MoeModel& model,
                               const TrainingPlan& plan,
                               bool beside_embedding);

}  // namespace moesim
