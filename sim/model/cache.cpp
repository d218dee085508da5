// Cache a token and states a request take. Formulas: docs/models.md, "Memory".
#include <algorithm>

#include "sim/model/moe_model.h"

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, std::int64_t ranks) {
  return std::max<std::int64_t>(1, (whole + ranks - 1) / ranks);
}

// Value and gate of the tokens no entry has been made of yet; entries that overlap keep the tokens
// of the one before as well.
double unfinished_bytes(const AttentionShape& shape, std::int64_t dim) {
  const std::int64_t tokens = shape.compressor_width(shape.compress_ratio);
  return static_cast<double>(2 * tokens * shape.compressor_width(dim) * 4);
}

}  // namespace

double attended_tokens(std::int64_t sliding_window, std::int64_t context, std::int64_t new_tokens) {
  const std::int64_t all = context + new_tokens;
  const std::int64_t seen =
      sliding_window == 0 ? all : std::min(all, sliding_window + new_tokens - 1);
  return static_cast<double>(seen);
}

double attended_tokens(const AttentionShape& shape, std::int64_t context, std::int64_t new_tokens) {
  if (!shape.chunked) return attended_tokens(shape.sliding_window, context, new_tokens);
  return static_cast<double>(context % shape.sliding_window + new_tokens);
}

AttentionShape tensor_share(AttentionShape shape, std::int64_t ranks) {
  shape.heads = share(shape.heads, ranks);
  shape.kv_heads = share(shape.kv_heads, ranks);
  if (shape.output_groups != 0) shape.output_groups = share(shape.output_groups, ranks);
  return shape;
}

double cache_elements_per_token(const AttentionShape& shape, std::int64_t tensor_parallel) {
  if (shape.encoder) return 0;
  const std::int64_t index = shape.index_heads != 0 ? shape.index_head_dim : 0;
  switch (shape.kind) {
    case AttentionKind::grouped_query:
      return static_cast<double>(
          share(shape.kv_heads, tensor_parallel) * (shape.head_dim + shape.value_dim()) + index);
    case AttentionKind::latent:
      return static_cast<double>(shape.kv_lora_rank + shape.qk_rope_head_dim + index);
    case AttentionKind::compressed:
      if (shape.compress_ratio == 0) return 0;
      return static_cast<double>(shape.head_dim + index) /
             static_cast<double>(shape.compress_ratio);
    case AttentionKind::none:
    case AttentionKind::linear:
    case AttentionKind::mamba:
      return 0;
  }
  return 0;
}

double cache_bytes_per_token(const AttentionShape& shape,
                             std::int64_t tensor_parallel,
                             WeightFormat format) {
  const double elements = cache_elements_per_token(shape, tensor_parallel);
  if (format != WeightFormat::fp8) return elements * bytes_per_weight(format);
  if (shape.kind != AttentionKind::latent || shape.index_heads == 0) return elements;
  const std::int64_t scales = shape.kv_lora_rank / 128 + 1;  // and one of the index key
  return elements + static_cast<double>(shape.qk_rope_head_dim + 4 * scales);
}

Bytes state_bytes(const AttentionShape& shape,
                  std::int64_t tensor_parallel,
                  double bytes_per_element) {
  const AttentionShape local = tensor_share(shape, tensor_parallel);
  if (shape.recurrent()) {
    const std::int64_t state =
        local.heads * local.head_dim * local.v_head_dim * local.state_element_bytes;
    return Bytes(static_cast<double>(state + (local.conv_kernel - 1) * local.conv_channels() * 2));
  }
  if (shape.kind != AttentionKind::compressed) return Bytes(0);
  double bytes = static_cast<double>(shape.sliding_window * shape.head_dim) * bytes_per_element;
  if (shape.compress_ratio != 0) bytes += unfinished_bytes(shape, shape.head_dim);
  if (shape.index_heads != 0) bytes += unfinished_bytes(shape, shape.index_head_dim);
  return Bytes(bytes);
}

Bytes kv_bytes_per_token(const MoeModel& model,
                         std::int64_t tensor_parallel,
                         double bytes_per_element) {
  double elements = 0;
  for (const LayerShape& layer : model.layers) {
    elements += cache_elements_per_token(layer.attention, tensor_parallel);
  }
  return Bytes(elements * bytes_per_element);
}

Bytes state_bytes_per_request(const MoeModel& model,
                              std::int64_t tensor_parallel,
                              double bytes_per_element) {
  Bytes bytes;
  for (const LayerShape& layer : model.layers) {
    bytes += state_bytes(layer.attention, tensor_parallel, bytes_per_element);
  }
  return bytes;
}

}  // namespace moesim
