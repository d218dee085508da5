// FLOPs that training throughput is published in. Formulas: docs/models.md, "Training".
#pragma once

#include "sim/core/units.h"
#include "sim/model/moe_model.h"

namespace moesim {

// Of one trained token, forward and backward: 6 for every active weight but the input embedding's,
// and three times the forward products of attention with a causal mask. Recomputation, padding and
// dropped tokens do not change it. Megatron's tflops_per_gpu is this, times tokens a second and
// GPU.
Flops model_flops_per_token(const MoeModel& model, int sequence, bool mtp);

}  // namespace moesim
