// The parts of a rank's memory, one function each. Formulas: docs/models.md, "Memory".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/units.h"
#include "sim/memory/memory_ledger.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"
#include "sim/plan/stages.h"

namespace moesim {

// Weights every rank of a stage holds alike, as the plan's engine keeps them.
Bytes dense_weight_bytes(const MoeModel& model, const ShardingPlan& plan, int stage = 0);
Bytes shared_expert_bytes(const MoeModel& model, const ShardingPlan& plan, int stage = 0);
// One expert, one layer: its share of the width; an engine pads both sides for mxfp4 kernels.
Bytes expert_bytes(const MoeModel& model, const ShardingPlan& plan);
// The multi-token prediction module, its experts dealt over the EP group; embedding and head are
// the model's.
Bytes mtp_weight_bytes(const MoeModel& model, const ShardingPlan& plan);

// Bytes of the checkpoint's files: every weight once, and a multi-token prediction module with an
// embedding and a head of its own, as DeepSeek-V3's has.
Bytes checkpoint_bytes(const MoeModel& model, const Precision& precision);

// Slots each rank of the pool holds over all MoE layers of its stage: the first replica of each
// expert, and replicas beyond the first.
struct SlotCount {
  std::int64_t first = 0, redundant = 0;
};
std::vector<SlotCount> count_slots(const MoeModel& model, const ShardingPlan& plan);

// KV cache, in whole pages, and activations of the first `entries` of a data-parallel rank's batch,
// on one of its ranks; in a pipeline, activations of the largest of its micro-batches.
struct WorkingSet {
  Bytes kv_cache, activations;
};
WorkingSet working_set(const MoeModel& model,
                       const ShardingPlan& plan,
                       const std::vector<BatchEntry>& entries,
                       int stage = 0);

// Activations of entries that go through a stage together, on one of its ranks.
Bytes activations_together(const MoeModel& model,
                           const ShardingPlan& plan,
                           const std::vector<BatchEntry>& entries,
                           int stage = 0);

// Cache of one request of `tokens` tokens on one rank of a stage, in whole pages, states included.
Bytes request_cache_bytes(const MoeModel& model,
                          const ShardingPlan& plan,
                          std::int64_t tokens,
                          int stage = 0);

// topologies/calibration/memory.json.
struct RuntimeMemory {
  double driver_share = 0;  // of the memory: taken by the driver, not shown to programs
  Bytes context;            // CUDA context and what libraries allocate in it
  Bytes communicators;      // of a rank that exchanges with others
  Bytes libraries;          // taken while vLLM tries its first step
  Bytes graphs;
  double logit_copies = 0;  // f32 copies of the logits that an engine's sampler holds at once
  std::int64_t mxfp4_hidden_multiple = 1, mxfp4_width_multiple = 1;
  Bytes bytes(Bytes capacity, bool exchanges) const;
};
const RuntimeMemory& runtime_memory();

// What the engine makes its KV pool of, on a rank that holds `rank` without a cache, of a GPU of
// `capacity`: negative where nothing is left.
Bytes pool_bytes(const RankMemory& rank, Bytes capacity, const ShardingPlan& plan);

// What would fit in place of the fullest rank's memory.
struct VerdictInputs {
  const MoeModel& model;
  const ShardingPlan& plan;
  const std::vector<Batch>& batches;
  std::string accelerator = {};  // of the fullest rank, where GPUs differ
};
std::string describe(const MemoryLedger& ledger, const VerdictInputs& inputs);

}  // namespace moesim
