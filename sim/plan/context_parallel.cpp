// Rows of queries, outputs and cached tokens as collectives of each context-parallel group.
#include "sim/plan/context_parallel.h"

#include <algorithm>

#include "sim/plan/collective.h"

namespace moesim {
namespace {

constexpr double kValue = 2, kLogSum = 4;  // bytes: bf16, f32

Phase phase_of(const std::vector<std::vector<BatchEntry>>& by_rank) {
  for (const auto& entries : by_rank)
    if (!entries.empty()) return entries.front().phase;
  return Phase::decode;
}

class ContextGroups {
 public:
  ContextGroups(const StepInputs& inputs, const Batch& batch, const FabricPaths& paths)
      : inputs_(inputs), ranks_(inputs.plan.parallelism), batch_(batch), paths_(paths) {}

  // Every rank has a row of each new token of its DP rank.
  Exchange of_tokens(const std::string& collective, double row_bytes) const {
    std::vector<std::uint32_t> rows;
    for (const auto& of_group : batch_.rows)
      rows.insert(rows.end(), static_cast<std::size_t>(ranks_.tensor),
                  static_cast<std::uint32_t>(of_group.size()));
    return make(collective, std::move(rows), row_bytes);
  }

  // Cached tokens are dealt over a group one by one.
  std::vector<std::uint32_t> cached_rows() const {
    std::vector<std::uint32_t> rows;
    for (const auto& entries : batch_.by_rank) {
      for (int member = 0; member < ranks_.tensor; ++member) {
        std::uint32_t held = 0;
        for (const BatchEntry& entry : entries)
          held += static_cast<std::uint32_t>(
              (entry.context + ranks_.context - 1 - member % ranks_.context) / ranks_.context);
        rows.push_back(held);
      }
    }
    return rows;
  }

  Exchange make(const std::string& collective,
                std::vector<std::uint32_t> rows,
                double row_bytes) const {
    const CollectiveShape shape{ranks_.context, inputs_.cluster.fabric.ranks_per_node,
                                std::move(rows), row_bytes};
    return make_collective(inputs_.cluster, paths_, collective, shape,
                           {inputs_.keep_flows, inputs_.keep_shares});
  }

 private:
  const StepInputs& inputs_;
  const Parallelism& ranks_;
  const Batch& batch_;
  const FabricPaths& paths_;
};

}  // namespace

ContextExchanges context_exchanges(const StepInputs& inputs,
                                   const Batch& batch,
                                   const FabricPaths& paths,
                                   const AttentionShape& shape) {
  const Parallelism& ranks = inputs.plan.parallelism;
  ContextExchanges exchanges;
  if (context_ranks(shape, ranks) == 1) return exchanges;
  const ContextGroups groups(inputs, batch, paths);
  if (phase_of(batch.by_rank) == Phase::prefill) {
    std::vector<std::uint32_t> rows = groups.cached_rows();
    if (std::all_of(rows.begin(), rows.end(), [](std::uint32_t held) { return held == 0; }))
      return exchanges;
    exchanges.gather.push_back(
        groups.make("all_gather", std::move(rows),
                    cache_bytes_per_token(shape, ranks.tensor, inputs.plan.precision.kv_cache)));
    return exchanges;
  }
  const bool latent = shape.kind == AttentionKind::latent;
  const auto heads = static_cast<double>(tensor_share(shape, ranks.tensor).heads),
             query = static_cast<double>(latent ? shape.kv_lora_rank + shape.qk_rope_head_dim
                                                : shape.head_dim),
             value = static_cast<double>(latent ? shape.kv_lora_rank : shape.value_dim());
  exchanges.gather.push_back(groups.of_tokens("all_gather", kValue * heads * query));
  exchanges.reduce.push_back(
      groups.of_tokens("reduce_scatter", kValue * heads * value + kLogSum * heads * ranks.context));
  return exchanges;
}

}  // namespace moesim
