// Parameters by kind, counted from shapes. Formulas: docs/models.md, "Parameters".
#include "sim/model/moe_model.h"

namespace moesim {
namespace {

std::int64_t norm_width(const MoeModel& model) { return model.hidden * (model.norm_bias ? 2 : 1); }

// Attention (two with cross attention) and feed-forward part: each has a norm and a residual.
std::int64_t parts(const LayerShape& layer) {
  const std::int64_t attention = layer.attention.kind == AttentionKind::none ? 0 : 1;
  return attention + (layer.attention.cross ? 1 : 0) + (layer.ffn == FfnKind::none ? 0 : 1);
}

}  // namespace

std::int64_t expert_parameters(const MoeModel& model) {
  return model.matrices() * model.expert_hidden() * model.expert_width +
         expert_bias_parameters(model);
}

std::int64_t expert_bias_parameters(const MoeModel& model) {
  if (!model.expert_bias) return 0;
  return (model.matrices() - 1) * model.expert_width + model.expert_hidden();
}

std::int64_t router_parameters(const MoeModel& model) {
  const std::int64_t choices = model.experts + model.zero_experts;
  return model.hidden * choices + (model.router_bias ? choices : 0) +
         (model.correction_bias ? choices : 0);
}

std::int64_t shared_expert_parameters(const MoeModel& model) {
  return model.matrices() * model.hidden * model.shared_width +
         (model.shared_expert_gate ? model.hidden : 0) + 2 * model.hidden * model.latent_hidden;
}

std::int64_t dense_parameters(const MoeModel& model, const LayerShape& layer) {
  return model.matrices() * model.hidden * layer.dense_width;
}

std::int64_t norm_parameters(const MoeModel& model, const LayerShape& layer) {
  return parts(layer) * norm_width(model);
}

std::int64_t final_norm_parameters(const MoeModel& model) {
  return norm_width(model) * (model.encoder_layers != 0 ? 2 : 1);
}

// Manifold-constrained hyper-connections: from all n streams of a token come n weights to read, n
// to write and n x n to mix, with a bias each and three scales; before the head n to read.
std::int64_t hyper_connection_parameters(const MoeModel& model, const LayerShape& layer) {
  const std::int64_t streams = model.residual_streams, mixes = (2 + streams) * streams;
  if (streams == 1) return 0;
  return parts(layer) * (mixes * streams * model.hidden + mixes + 3);
}

std::int64_t final_hyper_connection_parameters(const MoeModel& model) {
  const std::int64_t streams = model.residual_streams;
  return streams == 1 ? 0 : streams * streams * model.hidden + streams + 1;
}

ParameterCounts count_parameters(const MoeModel& model) {
  ParameterCounts count;
  count.one_expert = expert_parameters(model);
  count.embedding = model.vocabulary * model.hidden;
  if (!model.tied_embeddings) {
    count.head = count.embedding + (model.head_bias ? model.vocabulary : 0);
  }
  count.norms = final_norm_parameters(model);
  count.hyper_connections = final_hyper_connection_parameters(model);
  std::int64_t moe_layers = 0;
  for (const LayerShape& layer : model.layers) {
    const AttentionParameters attention = attention_parameters(layer.attention, model.hidden);
    count.attention += attention.split + attention.replicated + attention.vectors;
    count.norms += norm_parameters(model, layer);
    count.hyper_connections += hyper_connection_parameters(model, layer);
    count.dense_ffn += dense_parameters(model, layer);
    moe_layers += layer.ffn == FfnKind::moe ? 1 : 0;
  }
  count.router = moe_layers * router_parameters(model);
  count.shared_experts = moe_layers * shared_expert_parameters(model);
  count.routed_experts = moe_layers * model.experts * count.one_expert;
  const std::int64_t active_experts =
      model.top_k * count.routed_experts / (model.experts + model.zero_experts);
  const std::int64_t always = count.embedding + count.head + count.attention + count.norms +
                              count.router + count.shared_experts + count.dense_ffn +
                              count.hyper_connections;
  count.total = always + count.routed_experts;
  count.active = always + active_experts;
  count.active_without_input_embedding = count.active - count.embedding;
  return count;
}

}  // namespace moesim
