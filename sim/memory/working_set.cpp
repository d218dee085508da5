// KV cache and activations of a batch on one rank.
#include <algorithm>
#include <map>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, int ranks) { return (whole + ranks - 1) / ranks; }

double cache_elements(const AttentionShape& shape, int tensor) {
  if (shape.kind == AttentionKind::latent) {
    return static_cast<double>(shape.kv_lora_rank + shape.qk_rope_head_dim);
  }
  return 2.0 * static_cast<double>(share(shape.kv_heads, tensor) * shape.head_dim);
}

double cache_bytes(const MoeModel& model,
                   const ShardingPlan& plan,
                   const std::vector<BatchEntry>& entries) {
  std::map<std::int64_t, double> elements_by_window;  // of one token, over the layers that share it
  for (const LayerShape& layer : model.layers) {
    elements_by_window[layer.attention.sliding_window] +=
        cache_elements(layer.attention, plan.parallelism.tensor);
  }
  double elements = 0;
  for (const auto& window : elements_by_window) {
    for (const BatchEntry& entry : entries) {
      elements += attended_tokens(window.first, entry.context, entry.new_tokens) * window.second;
    }
  }
  return elements * (plan.precision.kv_cache == WeightFormat::fp8 ? 1 : 2);
}

// Live bf16 values of one layer's attention.
double attention_values(const AttentionShape& shape,
                        int tensor,
                        const std::vector<BatchEntry>& entries) {
  const auto heads = static_cast<double>(share(shape.heads, tensor));
  double values = 0;
  for (const BatchEntry& entry : entries) {
    const auto tokens = static_cast<double>(entry.new_tokens);
    if (shape.kind == AttentionKind::grouped_query) {  // query, key, value and output
      values += tokens *
                (2 * heads * static_cast<double>(shape.head_dim) + cache_elements(shape, tensor));
      continue;
    }
    const auto latent = static_cast<double>(shape.kv_lora_rank),
               rope = static_cast<double>(shape.qk_rope_head_dim),
               head = static_cast<double>(shape.qk_nope_head_dim) + rope,
               value = static_cast<double>(shape.v_head_dim);
    if (entry.phase == Phase::decode) {  // query by head, query and output in the latent space
      values += tokens * heads * (head + latent + rope + latent);
    } else {  // query and output of the new tokens, expanded key and value of all
      values += heads * (tokens * (head + value) +
                         attended_tokens(0, entry.context, entry.new_tokens) * (head + value));
    }
  }
  return values;
}

double activation_bytes(const MoeModel& model,
                        const ShardingPlan& plan,
                        const std::vector<BatchEntry>& entries) {
  const int tensor = plan.parallelism.tensor;
  double tokens = 0, outputs = 0, attention = 0, dense_width = 0;
  for (const BatchEntry& entry : entries) {
    tokens += entry.new_tokens;
    outputs += 1;  // logits are made for an entry's last token only
  }
  const AttentionShape* before = nullptr;
  for (const LayerShape& layer : model.layers) {
    const AttentionShape& shape = layer.attention;
    if (before == nullptr || *before != shape) {
      attention = std::max(attention, attention_values(shape, tensor, entries));
    }
    before = &shape;
    dense_width = std::max(dense_width, static_cast<double>(layer.dense_width));
  }
  // After attention a TP group's tokens are dealt over its ranks.
  const double own = tokens / tensor;
  const double feed_forward = 3 * std::max(dense_width, static_cast<double>(model.shared_width));
  const double experts =
      static_cast<double>(model.top_k) * 3 * static_cast<double>(model.expert_width);
  const double residual = 2 * tokens * static_cast<double>(model.hidden);
  const double logits = 4 * outputs * static_cast<double>(share(model.vocabulary, tensor));
  return 2 * residual +
         std::max({2 * attention, 2 * own * feed_forward, 2 * own * experts, logits});
}

}  // namespace

WorkingSet working_set(const MoeModel& model,
                       const ShardingPlan& plan,
                       const std::vector<BatchEntry>& entries) {
  if (entries.empty()) return {};
  return {Bytes(cache_bytes(model, plan, entries)), Bytes(activation_bytes(model, plan, entries))};
}

}  // namespace moesim
