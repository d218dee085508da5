// A sharding plan from what serving engines are told: sizes of tensor, expert, data and pipeline
// parallelism, without a trace.
#pragma once

#include "sim/model/moe_model.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

struct ServedSizes {
  int tensor = 1;    // ranks that split one DP rank's attention
  int data = 1;      // DP ranks, with requests of their own
  int pipeline = 1;  // stages; the pool has tensor x data x pipeline ranks
  int expert = 1;    // ranks that experts are dealt over
  int context = 1;   // ranks of `tensor` that share out each request's KV cache
  // Ranks that split each expert; 0 = all that `expert` leaves, as vLLM and SGLang do.
  int expert_tensor = 0;
  int redundant_experts = 0;
  // Slots a layer and rank whose experts stay in the GPU's memory, the others' lie in the host's; 0
  // = all.
  int resident_experts = 0;
};

// Experts by number over the ranks, formats as the checkpoint has them. Shared experts and dense
// parts are split as attention is, in SGLang over all ranks unless experts are dealt over them too;
// without an engine every rank has them whole, as in a scenario. InputError names the sizes that
// would do.
ShardingPlan served_plan(const MoeModel& model,
                         const ServedSizes& sizes,
                         const EngineMemory& memory);

}  // namespace moesim
