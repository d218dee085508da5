// What fills a rank's memory in training, by stage. Formulas: docs/models.md, "Training".
#pragma once

#include <vector>

#include "sim/core/units.h"
#include "sim/train/rank_parameters.h"
#include "sim/train/segments.h"

namespace moesim {

RankParameters rank_parameters(const MoeModel& model,
                               const TrainingPlan& plan,
                               const std::vector<LayerSegment>& held);

struct TrainingMemory {
  Bytes weights, gradients, optimizer, activations, exchange_buffers, runtime;
  Bytes total() const {
    return weights + gradients + optimizer + activations + exchange_buffers + runtime;
  }
};

// Bytes that one layer keeps of a token until its backward; routed: copies a token brings to this
// rank's experts.
double kept_bytes_per_token(const MoeModel& model,
                            const TrainingPlan& plan,
                            const LayerShape& layer,
                            double routed);

// The segments a stage holds, and for each the most micro-batches that wait for their backward.
struct HeldSegments {
  std::vector<LayerSegment> segments;
  std::vector<int> in_flight;
  double routed = 0;  // as kept_bytes_per_token has it
  int copies = 1;     // stages that hold each segment
};
TrainingMemory training_memory(const MoeModel& model,
                               const TrainingPlan& plan,
                               const Accelerator& accelerator,
                               const HeldSegments& held);

}  // namespace moesim
