// Constants of training steps, from topologies/calibration/training.json.
#pragma once

#include "sim/core/metric.h"
#include "sim/core/units.h"

namespace moesim {

struct TrainingConstants {
  double sustained_share;     // of the rates that kernels reach alone, 0..1
  Seconds host_layer{};       // of the host to launch one layer forward, kernel by kernel
  double attention_backward;  // FLOPs of the attention kernel's backward over its forward's
  double pass_backward;       // bytes of an element-wise pass's backward over its forward's
  Basis basis = Basis::datasheet;
};

TrainingConstants load_training_constants();

}  // namespace moesim
