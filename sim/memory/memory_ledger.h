// MemoryLedger: bytes of every rank by kind, its capacity and what to do when it does not fit.
// Formulas: docs/models.md, "Memory".
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/core/units.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

enum class MemoryKind {
  dense_weights,  // attention, norms, router, hyper-connections, embedding, head, dense FFN
  shared_experts,
  routed_experts,     // first replica of each expert on the rank
  redundant_experts,  // replicas beyond the first
  kv_cache,           // states of linear, Mamba-2 and compressed layers included
  activations,
  exchange_buffers,  // dispatch and combine, as the algorithm allocates them
  runtime,           // driver, context, communicators, graphs
  mtp_weights,       // the multi-token prediction module
  fragmentation,     // kept free so that allocations do not fail
  engine_reserve     // what the engine's fraction leaves unused beyond the kinds above
};
std::string to_text(MemoryKind kind);
inline constexpr int kMemoryKinds = 11;

struct RankMemory {
  std::vector<Bytes> by_kind;  // [kMemoryKinds]
  Bytes total() const;
};

struct MemoryLedger {
  Bytes capacity;  // of the worst rank's accelerator
  std::vector<RankMemory> ranks;
  bool fits = true;
  int worst_rank = 0;     // least headroom
  Bytes headroom;         // of the worst rank; negative when it does not fit
  Bytes cache_room;       // of the worst rank: what its KV cache may take, negative if nothing
  MemoryKind breaking{};  // filling kinds in their order, the first that passes the capacity
  std::string verdict;  // one sentence: fits with what headroom, or rank, kind, and what would fit,
                        // with numbers
};

struct GpuMemory {
  std::string accelerator;
  Bytes capacity;
};
std::vector<GpuMemory> gpu_memories(const Cluster& cluster);  // by rank; one where all are alike

// gpus: by rank, or one that stands for all. A lost rank holds nothing and is never the worst.
// batches: the ledger takes each rank's largest KV cache and activations over all of them.
MemoryLedger build_ledger(const MoeModel& model,
                          const std::vector<GpuMemory>& gpus,
                          const ShardingPlan& plan,
                          const std::vector<Batch>& batches,
                          Bytes exchange_buffers);

}  // namespace moesim
