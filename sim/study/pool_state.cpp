// Sizes buffers for the batches at hand and adds up what ranks hold.
#include "sim/study/pool_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/plan/lost_rank.h"
#include "sim/plan/micro_batches.h"
#include "sim/plan/moe_layers.h"

namespace moesim {
namespace {

Bytes exchange_buffers(const StepInputs& inputs, const Batch& batch) {
  const ShardingPlan& plan = inputs.plan;
  if (plan.parallelism.expert == 1) return Bytes(0);  // nothing is exchanged
  const auto buffers_of = [&](const std::string& algorithm) {
    const auto& part = Catalog<AllToAllPart>::instance().at(algorithm, "all-to-all algorithm");
    return part.buffer_bytes(exchange_shape(inputs, batch, part));
  };
  const Bytes dispatch = buffers_of(plan.dispatch);
  if (plan.combine == plan.dispatch) return dispatch;  // one algorithm's buffers serve both ways
  return dispatch + buffers_of(plan.combine);
}

// Tokens a rank that buffers are allocated for: the plan's, which must do for the largest batch.
int tokens_of_buffers(const ShardingPlan& plan, const std::vector<Batch>& batches) {
  std::size_t most = 1;
  for (const Batch& batch : batches) {
    const int together = batch.drafts > 0 ? 1 + batch.drafts : 1;
    for (const auto& rows : batch.rows)
      most = std::max(most, largest_part(rows.size(), plan.parallelism.pipeline, together));
  }
  const auto tensor = static_cast<std::size_t>(plan.parallelism.tensor);
  const int per_rank = static_cast<int>((most + tensor - 1) / tensor);
  if (plan.max_tokens_per_rank == 0) return (per_rank + 127) / 128 * 128;
  if (plan.max_tokens_per_rank < per_rank)
    throw InputError({"", 0, 0, "plan.max_tokens_per_rank"},
                     fmt::format("{} is too few: a rank has up to {} tokens a step",
                                 plan.max_tokens_per_rank, per_rank));
  return plan.max_tokens_per_rank;
}

std::vector<Batch> move_all_requests(const std::vector<Batch>& batches, const ShardingPlan& plan) {
  std::vector<Batch> moved;
  if (plan.lost.empty()) return moved;
  for (const Batch& batch : batches) moved.push_back(move_requests(batch, plan));
  return moved;
}

}  // namespace

PoolState::PoolState(Pool now, const StepSource& from, int buffer_tokens)
    : pool(std::move(now)),
      moved(move_all_requests(from.batches, pool.plan)),
      batches(moved.empty() ? from.batches : moved),
      costs(from.model, pool.cluster, pool.plan.parallelism, pool.plan.precision),
      paths(std::make_unique<FabricPaths>(pool.cluster.fabric, from.threads)),
      source(from) {
  pool.plan.max_tokens_per_rank = buffer_tokens;
  pool.plan.max_tokens_per_rank = tokens_of_buffers(pool.plan, batches);
}

MemoryLedger PoolState::ledger() const {
  return build_ledger(source.model, gpu_memories(pool.cluster), pool.plan, batches,
                      exchange_buffers(inputs(), batches.front()));
}

}  // namespace moesim
