// The memory ledger of a plan without a trace: what a serving engine would make of the GPUs, what
// of that breaks first, and what changes would bring. Formulas: docs/models.md, "Memory".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/memory/admitted_cache.h"
#include "sim/memory/memory_ledger.h"
#include "sim/model/moe_model.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

struct ServedLoad {
  std::int64_t context = 4096;        // tokens of every request
  std::optional<std::int64_t> batch;  // requests of each DP rank; as many as fit where not given
  int resident_experts = 0;           // the plan's; ServedSizes
  std::string all_to_all;             // whose buffers are held; empty = none
  int max_tokens_per_rank = 128;      // that they are allocated for
};

// One change alone and what the fullest rank's cache then holds.
struct MemoryChange {
  std::string what;  // "fp8 KV cache"
  Bytes room;        // for KV cache
  Bytes freed;       // with the same requests; negative: taken
  std::int64_t tokens = 0;
  bool fits = true;
};

// Experts in host memory: fetched over PCIe by the steps that need them.
struct HostExperts {
  std::int64_t of_layer = 0;  // on each rank
  Bytes bytes;                // on each rank, over its layers
  // Of a decode step with the estimate's requests under uniform routing; nothing is kept for later.
  double misses = 0;    // experts a layer and rank
  Seconds transfers{};  // at least: all misses of a rank over its PCIe
};

struct MemoryEstimate {
  MemoryLedger ledger;                   // with the requests of the load, or those admitted
  AdmittedCache admitted;                // at the load's context
  std::int64_t requests = 0;             // in the ledger, of each DP rank
  std::int64_t longest_of_one = 0;       // context of a single request that fits
  std::int64_t longest_of_requests = 0;  // of all `requests`
  std::int64_t most_redundant = 0;       // redundant experts with which the requests fit; -1: none
  std::vector<MemoryChange> changes;
  HostExperts host;
};

// InputError for an all-to-all that does not take the plan's EP group.
MemoryEstimate estimate_memory(const MoeModel& model,
                               const Accelerator& accelerator,
                               const ShardingPlan& plan,
                               const ServedLoad& load);

// Buffers a rank holds for exchanges of the load's all-to-all.
Bytes served_buffers(const MoeModel& model,
                     const Accelerator& accelerator,
                     const ShardingPlan& plan,
                     const ServedLoad& load);

}  // namespace moesim
