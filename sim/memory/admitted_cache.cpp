// Requests and tokens that fit into the room for KV cache.
#include "sim/memory/admitted_cache.h"

#include <cmath>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

Bytes request_bytes(const MemoryLedger& ledger,
                    const MoeModel& model,
                    const ShardingPlan& plan,
                    std::int64_t context) {
  return request_cache_bytes(model, plan, context,
                             ledger.worst_rank / plan.parallelism.stage_ranks());
}

}  // namespace

AdmittedCache admitted_cache(const MemoryLedger& ledger,
                             const MoeModel& model,
                             const ShardingPlan& plan,
                             std::int64_t context) {
  AdmittedCache admitted;
  admitted.room = ledger.cache_room;
  admitted.per_request = request_bytes(ledger, model, plan, context);
  // A stage of layers that cache nothing admits as many requests as one likes.
  if (!(admitted.room > Bytes(0)) || !(admitted.per_request > Bytes(0))) return admitted;
  const double requests = admitted.room / admitted.per_request;
  admitted.requests = static_cast<std::int64_t>(requests);
  admitted.tokens = static_cast<std::int64_t>(requests * static_cast<double>(context));
  return admitted;
}

std::int64_t longest_context(const MemoryLedger& ledger,
                             const MoeModel& model,
                             const ShardingPlan& plan,
                             std::int64_t requests,
                             std::int64_t most) {
  const double count = static_cast<double>(requests);
  std::int64_t low = 0, high = most;  // low fits; a longer context never takes less
  while (low < high) {
    const std::int64_t middle = (low + high + 1) / 2;
    if (count * request_bytes(ledger, model, plan, middle) <= ledger.cache_room) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace moesim
