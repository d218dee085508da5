// Weights of one layer's attention by kind. Formulas: docs/models.md, "Parameters".
#include "sim/model/moe_model.h"

namespace moesim {
namespace {

AttentionParameters grouped_query(const AttentionShape& shape, std::int64_t hidden) {
  const std::int64_t query = shape.heads * shape.head_dim * (shape.output_gate ? 2 : 1),
                     key_value = shape.kv_heads * (shape.head_dim + shape.value_dim());
  AttentionParameters count;
  count.split = hidden * (query + key_value) + shape.heads * shape.value_dim() * hidden;
  if (shape.qkv_bias) count.split += query + key_value;
  if (shape.output_bias) count.vectors += hidden;
  std::int64_t extras = shape.qk_norm_width;
  if (shape.index_heads != 0) {  // queries of all heads, one key, a norm for each
    extras += hidden * (shape.index_heads + 1) * shape.index_head_dim + 2 * shape.index_head_dim;
  }
  (shape.counts_extras ? count.vectors : count.uncounted) += extras;
  if (shape.sinks) (shape.counts_extras ? count.split : count.uncounted) += shape.heads;
  if (shape.cross) {
    count.split *= 2;
    count.vectors *= 2;
  }
  count.split += shape.relative_buckets * shape.heads;
  return count;
}

// DeepSeek-V3.2: queries from the query latent, one LayerNormed key, a weight a head.
void add_indexer(const AttentionShape& shape, std::int64_t hidden, AttentionParameters& count) {
  if (shape.index_heads == 0) return;
  count.replicated += shape.q_lora_rank * shape.index_heads * shape.index_head_dim;
  if (shape.kind == AttentionKind::latent) {
    count.replicated += hidden * shape.index_head_dim;
    count.vectors += 2 * shape.index_head_dim;
  }
  count.vectors += hidden * shape.index_heads;
}

AttentionParameters latent(const AttentionShape& shape, std::int64_t hidden) {
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
  add_indexer(shape, hidden, count);
  return count;
}

// A compressor makes entries of `dim`: value and gate projections, a bias by position, a norm.
std::int64_t compressor(const AttentionShape& shape, std::int64_t hidden, std::int64_t dim) {
  const std::int64_t width = shape.compressor_width(dim);
  return 2 * hidden * width + shape.compress_ratio * width + dim;
}

AttentionParameters compressed(const AttentionShape& shape, std::int64_t hidden) {
  AttentionParameters count;
  count.replicated = hidden * (shape.q_lora_rank + shape.head_dim);  // query latent, key = value
  count.vectors = shape.q_lora_rank + shape.head_dim;                // their norms
  count.split = shape.q_lora_rank * shape.heads * shape.head_dim;
  count.split += shape.heads * shape.head_dim * shape.output_lora_rank;  // block diagonal by groups
  count.split += shape.output_groups * shape.output_lora_rank * hidden;
  count.split += shape.heads;  // sinks
  if (shape.compress_ratio != 0) count.vectors += compressor(shape, hidden, shape.head_dim);
  if (shape.index_heads != 0) count.vectors += compressor(shape, hidden, shape.index_head_dim);
  add_indexer(shape, hidden, count);
  return count;
}

AttentionParameters recurrent(const AttentionShape& shape, std::int64_t hidden) {
  const std::int64_t value = shape.recurrent_value_width(), channels = shape.conv_channels();
  const bool mamba = shape.kind == AttentionKind::mamba;
  AttentionParameters count;
  // In: the convolved channels and the output's gate; a head's step size (Mamba-2), or its decay
  // and its write strength (delta rule). Out: the value width.
  count.split = hidden * (channels + value + (mamba ? 1 : 2) * shape.heads) + value * hidden;
  count.vectors = channels * (shape.conv_kernel + (shape.conv_bias ? 1 : 0));
  // A_log, dt_bias, Mamba-2 also D; the norm spans all heads in Mamba-2, one head otherwise.
  count.vectors += (mamba ? 3 : 2) * shape.heads + (mamba ? value : shape.v_head_dim);
  return count;
}

}  // namespace

AttentionParameters attention_parameters(const AttentionShape& shape, std::int64_t hidden) {
  switch (shape.kind) {
    case AttentionKind::none:
      return {};
    case AttentionKind::grouped_query:
      return grouped_query(shape, hidden);
    case AttentionKind::latent:
      return latent(shape, hidden);
    case AttentionKind::compressed:
      return compressed(shape, hidden);
    case AttentionKind::linear:
    case AttentionKind::mamba:
      return recurrent(shape, hidden);
  }
  return {};
}

}  // namespace moesim
