// Parameters by kind, counted from shapes. Formulas: docs/models.md, "Parameters".
#include <algorithm>

#include "sim/model/moe_model.h"

namespace moesim {
namespace {

AttentionParameters latent_attention(const AttentionShape& shape, std::int64_t hidden) {
  const std::int64_t query_width = shape.heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim);
  AttentionParameters count;
  if (shape.q_lora_rank == 0) {
    count.split += hidden * query_width;
  } else {
    count.replicated += hidden * shape.q_lora_rank;
    count.vectors += shape.q_lora_rank;  // its norm
    count.split += shape.q_lora_rank * query_width;
  }
  count.replicated += hidden * (shape.kv_lora_rank + shape.qk_rope_head_dim);
  count.vectors += shape.kv_lora_rank;
  count.split += shape.kv_lora_rank * shape.heads * (shape.qk_nope_head_dim + shape.v_head_dim);
  count.split += shape.heads * shape.v_head_dim * hidden;
  return count;
}

}  // namespace

AttentionParameters attention_parameters(const AttentionShape& shape, std::int64_t hidden) {
  if (shape.kind == AttentionKind::latent) return latent_attention(shape, hidden);
  const std::int64_t qkv_width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  AttentionParameters count;
  count.split = hidden * qkv_width + shape.heads * shape.head_dim * hidden;
  if (shape.qkv_bias) count.split += qkv_width;
  if (shape.sinks) count.split += shape.heads;
  if (shape.output_bias) count.vectors += hidden;
  count.vectors += shape.qk_norm_width;
  return count;
}

std::int64_t expert_parameters(const MoeModel& model) {
  const std::int64_t matrices = 3 * model.hidden * model.expert_width;  // gate, up, down
  return matrices + (model.expert_bias ? 2 * model.expert_width + model.hidden : 0);
}

std::int64_t router_parameters(const MoeModel& model) {
  return model.hidden * model.experts + (model.router_bias ? model.experts : 0) +
         (model.correction_bias ? model.experts : 0);
}

std::int64_t shared_expert_parameters(const MoeModel& model) {
  return 3 * model.hidden * model.shared_width + (model.shared_expert_gate ? model.hidden : 0);
}

ParameterCounts count_parameters(const MoeModel& model) {
  const std::int64_t norm = model.hidden * (model.norm_bias ? 2 : 1);
  ParameterCounts count;
  count.one_expert = expert_parameters(model);
  count.embedding = model.vocabulary * model.hidden;
  if (!model.tied_embeddings) {
    count.head = count.embedding + (model.head_bias ? model.vocabulary : 0);
  }
  count.norms = norm;  // before the head
  std::int64_t active_experts = 0;
  for (const LayerShape& layer : model.layers) {
    const AttentionParameters attention = attention_parameters(layer.attention, model.hidden);
    count.attention += attention.split + attention.replicated + attention.vectors;
    count.norms += 2 * norm;
    if (layer.ffn == FfnKind::dense) {
      count.dense_ffn += 3 * model.hidden * layer.dense_width;
      continue;
    }
    count.router += router_parameters(model);
    count.shared_experts += shared_expert_parameters(model);
    count.routed_experts += model.experts * count.one_expert;
    active_experts += model.top_k * count.one_expert;
  }
  const std::int64_t always = count.embedding + count.head + count.attention + count.norms +
                              count.router + count.shared_experts + count.dense_ffn;
  count.total = always + count.routed_experts;
  count.active = always + active_experts;
  count.active_without_input_embedding = count.active - count.embedding;
  return count;
}

Bytes kv_bytes_per_token(const MoeModel& model,
                         std::int64_t tensor_parallel,
                         double bytes_per_element) {
  std::int64_t elements = 0;
  for (const LayerShape& layer : model.layers) {
    const AttentionShape& shape = layer.attention;
    if (shape.kind == AttentionKind::latent) {
      elements += shape.kv_lora_rank + shape.qk_rope_head_dim;
      continue;
    }
    const std::int64_t kv_heads =
        std::max<std::int64_t>(1, (shape.kv_heads + tensor_parallel - 1) / tensor_parallel);
    elements += 2 * kv_heads * shape.head_dim;
  }
  return Bytes(static_cast<double>(elements) * bytes_per_element);
}

}  // namespace moesim
