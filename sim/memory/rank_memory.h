// The parts of a rank's memory, one function each. Formulas: docs/models.md, "Memory".
#pragma once

#include <vector>

#include "sim/core/units.h"
#include "sim/memory/memory_ledger.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// Weights every rank holds alike.
Bytes dense_weight_bytes(const MoeModel& model, const ShardingPlan& plan);
Bytes shared_expert_bytes(const MoeModel& model, const ShardingPlan& plan);
Bytes expert_bytes(const MoeModel& model, const ShardingPlan& plan);  // one expert, one layer

// Slots each rank of the pool holds over all MoE layers of the model: the first replica of each
// expert, and replicas beyond the first.
struct SlotCount {
  std::int64_t first = 0, redundant = 0;
};
std::vector<SlotCount> count_slots(const MoeModel& model, const ShardingPlan& plan);

// KV cache and activations of the first `entries` of a data-parallel rank's batch, on one of its
// ranks.
struct WorkingSet {
  Bytes kv_cache, activations;
};
WorkingSet working_set(const MoeModel& model,
                       const ShardingPlan& plan,
                       const std::vector<BatchEntry>& entries);

Bytes runtime_bytes();  // topologies/calibration/memory.json

// What would fit in place of the fullest rank's memory.
struct VerdictInputs {
  const MoeModel& model;
  const ShardingPlan& plan;
  const std::vector<Batch>& batches;
  std::string accelerator = {};  // of the fullest rank, where GPUs differ
};
std::string describe(const MemoryLedger& ledger, const VerdictInputs& inputs);

}  // namespace moesim
