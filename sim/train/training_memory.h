// What fills a rank's memory in training, by stage. Formulas: docs/models.md, "Training".
#pragma once

#include <vector>

#include "sim/core/units.h"
#include "sim/train/segments.h"

namespace moesim {

// Weights of one rank that all ranks of its DP group hold, and those of its experts.
struct RankParameters {
  double dense = 0, experts = 0;
};
RankParameters rank_parameters(const MoeModel& model,
                               const TrainingPlan& plan,
                               const std::vector<Segment>& held);

struct TrainingMemory {
  Bytes weights, gradients, optimizer, activations, exchange_buffers, runtime;
  Bytes total() const {
    return weights + gradients + optimizer + activations + exchange_buffers + runtime;
  }
};

// bf16 weights and f32 gradients of all a rank holds; master weights and two moments in f32, shared
// out over the ranks that hold the same (the distributed optimizer).
inline constexpr double kWeightBytes = 2, kGradientBytes = 4, kOptimizerBytes = 12;

// Bytes that one layer keeps of a token until its backward; routed: copies a token brings to this
// rank's experts.
double kept_bytes_per_token(const MoeModel& model,
                            const TrainingPlan& plan,
                            const LayerShape& layer,
                            double routed);

// in_flight: most micro-batches of each held segment that wait for their backward.
TrainingMemory training_memory(const MoeModel& model,
                               const TrainingPlan& plan,
                               const Accelerator& accelerator,
                               const std::vector<Segment>& held,
                               const std::vector<int>& in_flight,
                               double routed);

}  // namespace moesim
