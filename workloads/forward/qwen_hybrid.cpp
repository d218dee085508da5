// Reading and loading a Qwen hybrid (transformers v4.57.1 modeling_qwen3_next.py).
#include "workloads/forward/qwen_hybrid.h"

#include <nlohmann/json.hpp>

#include "workloads/forward/layer_types.h"
#include "workloads/forward/nested_config.h"

namespace moesim {
namespace {

std::vector<bool> read_attention_layers(ConfigReader& config, std::int64_t layers) {
  const std::int64_t interval = config.size_or("full_attention_interval", 4);
  std::vector<bool> is_attention =
      read_layer_types(config, layers, "full_attention", "linear_attention");
  if (!is_attention.empty()) return is_attention;
  is_attention.reserve(static_cast<std::size_t>(layers));
  for (std::int64_t layer = 0; layer < layers; ++layer)
    is_attention.push_back((layer + 1) % interval == 0);
  return is_attention;
}

std::unique_ptr<FeedForward> load_mixture(const MoeParameters& moe,
                                          const Checkpoint& weights,
                                          const std::string& prefix) {
  MoeWeights loaded;
  if (weights.has(prefix + "experts.gate_up_proj")) {
    loaded.router = weights.matrix(prefix + "gate.weight", moe.experts, moe.hidden);
    loaded.experts = load_fused_experts(weights, prefix + "experts.", {}, moe);
  } else {
    loaded = load_moe(weights, prefix, {}, moe);
  }
  if (moe.shared_width > 0) {
    loaded.shared = load_network(weights, prefix + "shared_expert.", {},
                                 {moe.hidden, moe.shared_width, {}, false});
    loaded.shared_gate = weights.matrix(prefix + "shared_expert_gate.weight", 1, moe.hidden);
  }
  return make_moe(moe, std::move(loaded));
}

}  // namespace

QwenHybrid read_qwen_hybrid(ConfigReader& config) {
  QwenHybrid model;
  model.frame = read_frame(config, 1e-6);
  model.frame.norm_offset = 1;
  model.is_attention = read_attention_layers(config, model.frame.layers);
  model.attention = read_grouped_query(config, model.frame.hidden, 1e4,
                                       {.kv_heads = 2, .head_dim = 256, .rotated_share = 0.25});
  model.attention.norm = QueryKeyNorm::per_head;
  model.attention.norm_epsilon = model.frame.norm_epsilon;
  model.attention.norm_offset = 1;
  model.attention.output_gate = true;
  model.delta = read_gated_delta(config, model.frame.hidden, model.frame.norm_epsilon);
  MoeParameters& moe = model.moe;
  moe.hidden = model.frame.hidden;
  const std::string key = experts_key(config);
  moe.experts = config.size(key);
  moe.top_k = config.size_or("num_experts_per_tok", 10);
  moe.width = config.size_or("moe_intermediate_size", 512);
  moe.shared_width = config.size_or("shared_expert_intermediate_size", 512, 0);
  check_experts(config, key, moe);
  config.only("use_sliding_window", false);
  config.ignore("quantization_config");  // the tensors say how they are stored
  return model;
}

Decoder load_qwen_hybrid(const QwenHybrid& model, const Checkpoint& weights) {
  const auto rope = std::make_shared<Rope>(model.attention.rope);
  const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
    const auto number = static_cast<std::size_t>(layer);
    into.mixer = model.is_attention[number]
                     ? load_grouped_query(model.attention, rope, weights, prefix + "self_attn.")
                     : load_gated_delta(model.delta, weights, prefix + "linear_attn.");
    if (model.is_moe[number])
      into.ffn = load_mixture(model.moe, weights, prefix + "mlp.");
    else
      into.ffn = make_dense(load_network(weights, prefix + "mlp.", {},
                                         {model.frame.hidden, model.dense_width, {}, false}));
  };
  Decoder decoder = load_residual_frame(model.frame, weights, load);
  decoder.experts = model.moe.experts;
  decoder.top_k = model.moe.top_k;
  return decoder;
}

DecoderLoader read_qwen3_5(ConfigReader& config, bool tied) {
  QwenHybrid model = read_qwen_hybrid(config);
  model.frame.tied |= tied;
  model.moe.router = Catalog<Router>::instance().at("softmax_topk_renormalised", "router");
  model.is_moe.assign(static_cast<std::size_t>(model.frame.layers), true);
  config.only("norm_topk_prob", true);
  config.only("attn_output_gate", true);
  config.only("mlp_only_layers", nlohmann::json::array());
  config.only("decoder_sparse_step", 1);
  for (const char* key : {"intermediate_size", "mamba_ssm_dtype", "mtp_num_hidden_layers",
                          "mtp_use_dedicated_embeddings"})
    config.ignore(key);  // of dense layers, of storage, and of layers that only draft tokens
  return [model](const Checkpoint& weights) {
    QwenHybrid named = model;
    if (weights.has("model.language_model.embed_tokens.weight"))
      nest_names(named.frame, "model.language_model.");
    return load_qwen_hybrid(named, weights);
  };
}

}  // namespace moesim
