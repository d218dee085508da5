// What the KV cache of a pool's fullest rank holds. Formulas: docs/models.md, "Memory".
#pragma once

#include <cstdint>

#include "sim/memory/memory_ledger.h"

namespace moesim {

struct AdmittedCache {
  Bytes room;                 // of the fullest rank
  Bytes per_request;          // one request of the context asked for, on that rank
  std::int64_t requests = 0;  // that fit at once, for one DP rank
  std::int64_t tokens = 0;    // of them, with the part of one more that fits
};
// context: tokens of each request, at least 1. A request counts with its states, and with no more
// tokens of a layer than its window keeps.
AdmittedCache admitted_cache(const MemoryLedger& ledger,
                             const MoeModel& model,
                             const ShardingPlan& plan,
                             std::int64_t context);

// The longest context of which `requests` at once fit, up to `most`; 0 = none does.
std::int64_t longest_context(const MemoryLedger& ledger,
                             const MoeModel& model,
                             const ShardingPlan& plan,
                             std::int64_t requests,
                             std::int64_t most);

}  // namespace moesim
