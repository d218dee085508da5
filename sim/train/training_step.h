// One optimizer step: micro-batches through the pipeline, gradients summed over ranks that hold the
// same weights, the optimizer. Formulas: docs/models.md, "Training".
#pragma once

#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/core/metric.h"
#include "sim/train/training_memory.h"
#include "sim/train/training_plan.h"

namespace moesim {

struct TrainingStage {
  int layers = 0;
  Seconds busy{};      // of the step, exposed exchanges included
  Seconds exchange{};  // dispatch and combine that nothing hides
  Seconds idle{};      // of the pipeline: bubbles
  Seconds sync{};      // sums of gradients and gathering of weights that nothing hides
  Seconds optimizer{};
  TrainingMemory memory;  // of each of its ranks
  bool fits = true;
};

struct TrainingStep {
  Seconds step{};                               // from first forward to the end of the optimizer
  Seconds pipeline{};                           // of it, all micro-batches forward and backward
  Seconds sync{}, optimizer{};                  // of the stage where both take longest
  Seconds hidden_exchange{};                    // mean over stages
  double bubble_share = 0, exchange_share = 0;  // of the step, mean over stages
  double dropped = 0;                           // share of token copies
  double tokens_per_second_gpu = 0;
  double tflops_gpu = 0;  // model FLOPs
  double mfu = 0;         // of the peak that the precision's products have
  Flops flops_per_token;
  std::vector<TrainingStage> stages;
  Basis basis = Basis::datasheet;
  bool fits() const;
};

// `cluster`: its nodes are taken as many as the plan's ranks fill. InputError as check_training,
// and where an algorithm or a schedule cannot take the plan.
TrainingStep train_step(const MoeModel& model,
                        const ClusterSpec& cluster,
                        const TrainingPlan& plan);

}  // namespace moesim
