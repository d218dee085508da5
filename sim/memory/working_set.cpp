// KV cache and activations of a batch on one rank.
#include <algorithm>
#include <utility>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, int ranks) { return (whole + ranks - 1) / ranks; }

// Bytes of one request's cache in one layer.
double cache_bytes(const AttentionShape& shape,
                   int tensor,
                   double element,
                   const BatchEntry& entry) {
  if (shape.kind != AttentionKind::compressed) {
    const double per_token = cache_elements_per_token(shape, tensor) * element;
    const double tokens =
        per_token == 0 ? 0 : attended_tokens(shape, entry.context, entry.new_tokens);
    return tokens * per_token + state_bytes(shape, tensor, element).value;
  }
  // The window is part of the state, the entries cover every token.
  return attended_tokens(0, entry.context, entry.new_tokens) *
             cache_elements_per_token(shape, tensor) * element +
         state_bytes(shape, tensor, element).value;
}

double cache_bytes(const MoeModel& model,
                   const ShardingPlan& plan,
                   const std::vector<BatchEntry>& entries) {
  std::vector<std::pair<AttentionShape, double>> layers_by_shape;
  for (const LayerShape& layer : model.layers) {
    const auto same = [&](const auto& known) { return known.first == layer.attention; };
    const auto found = std::find_if(layers_by_shape.begin(), layers_by_shape.end(), same);
    if (found == layers_by_shape.end()) {
      layers_by_shape.emplace_back(layer.attention, 1);
    } else {
      found->second += 1;
    }
  }
  const double element = plan.precision.kv_cache == WeightFormat::fp8 ? 1 : 2;
  double bytes = 0;
  for (const auto& layers : layers_by_shape) {
    for (const BatchEntry& entry : entries) {
      bytes += layers.second * cache_bytes(layers.first, plan.parallelism.tensor, element, entry);
    }
  }
  return bytes;
}

// Latent attention in the latent space, in decode and wherever index heads choose tokens; expanded
// to heads otherwise.
double latent_values(const AttentionShape& local, const BatchEntry& entry) {
  const auto tokens = static_cast<double>(entry.new_tokens),
             heads = static_cast<double>(local.heads),
             latent = static_cast<double>(local.kv_lora_rank),
             rope = static_cast<double>(local.qk_rope_head_dim),
             head = static_cast<double>(local.qk_nope_head_dim) + rope,
             value = static_cast<double>(local.v_head_dim);
  if (entry.phase == Phase::decode || local.index_heads != 0) {  // query, then both in latent space
    return tokens * heads * (head + latent + rope + latent);
  }
  return heads * (tokens * (head + value) +
                  attended_tokens(0, entry.context, entry.new_tokens) * (head + value));
}

// Values one new token keeps between the kernels of the other kinds.
double values_per_token(const AttentionShape& local) {
  const std::int64_t index = local.index_heads * local.index_head_dim;
  switch (local.kind) {
    case AttentionKind::grouped_query:  // query (and gate), output, key and value
      return static_cast<double>(
          (local.heads * (1 + (local.output_gate ? 1 : 0)) + local.kv_heads) * local.head_dim +
          (local.heads + local.kv_heads) * local.value_dim() + index);
    case AttentionKind::compressed:  // query and output, the key that is the value, index queries
      return static_cast<double>((2 * local.heads + 1) * local.head_dim + index);
    case AttentionKind::linear:
    case AttentionKind::mamba:  // convolved channels, gate and output
      return static_cast<double>(local.conv_channels() + 2 * local.recurrent_value_width());
    case AttentionKind::none:
    case AttentionKind::latent:
      return 0;
  }
  return 0;
}

// Live bf16 values of one layer's attention.
double attention_values(const AttentionShape& shape,
                        int tensor,
                        const std::vector<BatchEntry>& entries) {
  const AttentionShape local = tensor_share(shape, tensor);
  double values = 0;
  for (const BatchEntry& entry : entries) {
    values += shape.kind == AttentionKind::latent
                  ? latent_values(local, entry)
                  : static_cast<double>(entry.new_tokens) * values_per_token(local);
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
  const auto matrices = static_cast<double>(model.matrices());
  const double feed_forward =
      matrices * std::max(dense_width, static_cast<double>(model.shared_width));
  const double experts =
      static_cast<double>(model.top_k) * matrices * static_cast<double>(model.expert_width);
  const double residual = 2 * tokens * static_cast<double>(model.hidden * model.residual_streams);
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
