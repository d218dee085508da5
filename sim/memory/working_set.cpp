// KV cache and activations of a batch on one rank.
#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/memory/rank_memory.h"
#include "sim/plan/micro_batches.h"

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, int ranks) { return (whole + ranks - 1) / ranks; }

double whole_pages(double tokens, int page) { return std::ceil(tokens / page) * page; }

// Bytes of one request's cache in one layer.
double cache_bytes(const AttentionShape& shape,
                   const ShardingPlan& plan,
                   std::int64_t context,
                   std::int64_t new_tokens) {
  const int tensor = plan.parallelism.tensor;
  const WeightFormat format = plan.precision.kv_cache;
  const double state =
      state_bytes(shape, tensor, format == WeightFormat::fp8 ? 1 : bytes_per_weight(format)).value;
  const double per_token = cache_bytes_per_token(shape, tensor, format);
  if (per_token == 0) return state;
  // The window of a compressed layer is part of the state, the entries cover every token.
  const double tokens = shape.kind == AttentionKind::compressed
                            ? attended_tokens(0, context, new_tokens)
                            : attended_tokens(shape, context, new_tokens);
  const double held = std::ceil(tokens / context_ranks(shape, plan.parallelism));
  return whole_pages(held, plan.memory.page_tokens) * per_token + state;
}

using LayersByShape = std::vector<std::pair<AttentionShape, double>>;

LayersByShape layers_by_shape(std::span<const LayerShape> layers) {
  LayersByShape by_shape;
  for (const LayerShape& layer : layers) {
    const auto same = [&](const auto& known) { return known.first == layer.attention; };
    const auto found = std::find_if(by_shape.begin(), by_shape.end(), same);
    if (found == by_shape.end()) {
      by_shape.emplace_back(layer.attention, 1);
    } else {
      found->second += 1;
    }
  }
  return by_shape;
}

double cache_bytes(std::span<const LayerShape> stage,
                   const ShardingPlan& plan,
                   const std::vector<BatchEntry>& entries) {
  double bytes = 0;
  for (const auto& layers : layers_by_shape(stage)) {
    for (const BatchEntry& entry : entries) {
      bytes += layers.second * cache_bytes(layers.first, plan, entry.context, entry.new_tokens);
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

// Live bf16 values of the largest attention of some layers.
double largest_attention(std::span<const LayerShape> layers,
                         int tensor,
                         const std::vector<BatchEntry>& entries) {
  double largest = 0;
  const AttentionShape* before = nullptr;
  for (const LayerShape& layer : layers) {
    if (before == nullptr || *before != layer.attention)
      largest = std::max(largest, attention_values(layer.attention, tensor, entries));
    before = &layer.attention;
  }
  return largest;
}

// Live bf16 values of the widest dense or shared part, and of the experts: an engine's grouped
// kernels keep one buffer for what goes into the activation or comes out of the experts, and one
// for what is between (workspace13 and workspace2 of vLLM's fused experts).
double feed_forward_values(const MoeModel& model,
                           const Parallelism& ranks,
                           std::span<const LayerShape> layers,
                           double tokens) {
  // Where every rank has whole parts, a TP group's tokens are dealt over its ranks after attention.
  const bool split = ranks.expert_tensor > 1 || ranks.feed_forward_tensor > 1;
  const double own = split ? tokens : tokens / ranks.tensor;
  std::int64_t widest = model.shared_width;
  for (const LayerShape& layer : layers) widest = std::max(widest, layer.dense_width);
  const std::int64_t width = share(model.expert_width, ranks.expert_tensor),
                     ends = std::max((model.matrices() - 1) * width, model.expert_hidden());
  const double dense =
      static_cast<double>(model.matrices() * share(widest, ranks.feed_forward_tensor));
  return own * std::max(dense, static_cast<double>(model.top_k * (ends + width)));
}

// Logits are made for an entry's last token only. An engine gathers them whole and its sampler
// holds several copies.
double logit_bytes(const MoeModel& model, const ShardingPlan& plan, std::size_t entries) {
  const bool served = plan.memory.engine != ServingEngine::none;
  const std::int64_t columns =
      served ? model.vocabulary : share(model.vocabulary, plan.parallelism.tensor);
  const double copies = served ? runtime_memory().logit_copies : 1;
  return 4 * copies * static_cast<double>(entries) * static_cast<double>(columns);
}

double activation_bytes(const MoeModel& model,
                        const ShardingPlan& plan,
                        const std::vector<BatchEntry>& entries,
                        const StageLayers& stage) {
  double tokens = 0;
  for (const BatchEntry& entry : entries) tokens += entry.new_tokens;
  const auto layers = stage.of(model);
  const double residual = 2 * tokens * static_cast<double>(model.hidden * model.residual_streams);
  const double attention = largest_attention(layers, plan.parallelism.tensor, entries);
  const double feed_forward = feed_forward_values(model, plan.parallelism, layers, tokens);
  const double logits = stage.heads ? logit_bytes(model, plan, entries.size()) : 0;
  return 2 * residual + std::max({2 * attention, 2 * feed_forward, logits});
}

}  // namespace

namespace {

// What goes through a stage at once: of a pipeline the largest micro-batch.
std::vector<BatchEntry> entries_at_once(const ShardingPlan& plan,
                                        const std::vector<BatchEntry>& entries) {
  const int stages = plan.parallelism.pipeline;
  if (stages == 1) return entries;
  std::size_t tokens = 0;
  for (const BatchEntry& entry : entries) tokens += static_cast<std::size_t>(entry.new_tokens);
  const int together = entries[0].phase == Phase::decode ? entries[0].new_tokens : 1;
  return leading_entries(entries, largest_part(tokens, stages, together));
}

}  // namespace

WorkingSet working_set(const MoeModel& model,
                       const ShardingPlan& plan,
                       const std::vector<BatchEntry>& entries,
                       int stage) {
  if (entries.empty()) return {};
  const StageLayers layers = stage_layers(model, plan.parallelism, stage);
  return {Bytes(cache_bytes(layers.of(model), plan, entries)),
          activations_together(model, plan, entries_at_once(plan, entries), stage)};
}

Bytes activations_together(const MoeModel& model,
                           const ShardingPlan& plan,
                           const std::vector<BatchEntry>& entries,
                           int stage) {
  return Bytes(
      activation_bytes(model, plan, entries, stage_layers(model, plan.parallelism, stage)));
}

Bytes request_cache_bytes(const MoeModel& model,
                          const ShardingPlan& plan,
                          std::int64_t tokens,
                          int stage) {
  double bytes = 0;
  for (const auto& layers : layers_by_shape(stage_layers(model, plan.parallelism, stage).of(model)))
    bytes += layers.second * cache_bytes(layers.first, plan, tokens - 1, 1);
  return Bytes(bytes);
}

}  // namespace moesim
