// MiMo-V2-Flash (the model's own modeling_mimo_v2_flash.py; SGLang and vLLM agree on the value
// scale): sliding windows with sinks and full attention with their own heads and rotary base, keys
// wider than values, sigmoid routing with a correction bias.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/layer_types.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

struct MimoV2Flash {
  DecoderFrame frame;
  std::vector<bool> windowed, is_moe;    // [layers]
  GroupedQueryParameters full, sliding;  // `sinks` says whether, not under what name
  MoeParameters moe;
  std::int64_t dense_width = 0;
};

std::vector<bool> read_windowed_layers(ConfigReader& config, std::int64_t layers) {
  std::vector<bool> windowed =
      read_layer_types(config, layers, "sliding_attention", "full_attention");
  if (!windowed.empty()) {
    config.ignore("hybrid_layer_pattern");
    return windowed;
  }
  return read_layer_flags(config, "hybrid_layer_pattern", layers);
}

// The object of transformers 5 has one a kind of layer; older configurations have one for full
// attention, and plain rotation in windows.
void read_ropes(ConfigReader& config, MimoV2Flash& model) {
  const double share = config.number_or("partial_rotary_factor", 0.334);
  if (share <= 0 || share > 1)
    config.fail("partial_rotary_factor", "must be above 0 and at most 1");
  const auto newer = config.find("rope_parameters");
  const auto read = [&](const char* kind, const char* theta_key, double theta,
                        GroupedQueryParameters& attention, std::optional<JsonNode> node) {
    if (newer) node = newer->find(kind);
    const auto own = node ? node->find("partial_rotary_factor") : std::nullopt;
    auto dims = static_cast<std::int64_t>(static_cast<double>(attention.shape.key_dim) *
                                          (own ? own->as_ratio(0, 1) : share));
    if (dims == 0 || dims % 2 != 0)
      config.fail("partial_rotary_factor",
                  fmt::format("makes {} rotated dimensions of {}; an even number is needed", dims,
                              attention.shape.key_dim));
    attention.rope = read_rope_of(config, node, dims, config.number_or(theta_key, theta));
  };
  read("full_attention", "rope_theta", 5e6, model.full, config.find("rope_scaling"));
  read("sliding_attention", "swa_rope_theta", 1e4, model.sliding, std::nullopt);
}

// Sizes under "swa_" are those of windowed layers; absent ones are those of full attention.
HeadShape read_shape(ConfigReader& config, const std::string& prefix, const HeadShape& absent) {
  HeadShape shape;
  shape.heads = config.size_or(prefix + "num_attention_heads", absent.heads);
  shape.kv_heads = config.size_or(prefix + "num_key_value_heads", absent.kv_heads);
  shape.key_dim = config.size_or(prefix + "head_dim", absent.key_dim);
  shape.value_dim = config.size_or(prefix + "v_head_dim", absent.value_dim);
  if (shape.heads % shape.kv_heads != 0)
    config.fail(
        prefix + "num_key_value_heads",
        fmt::format("{} does not divide the {} attention heads", shape.kv_heads, shape.heads));
  return shape;
}

void read_attention(ConfigReader& config, MimoV2Flash& model) {
  GroupedQueryParameters& full = model.full;
  full.hidden = model.frame.hidden;
  full.shape = read_shape(config, "", {64, 4, 192, 128});
  full.qkv_bias = config.flag_or("attention_bias", false);
  full.value_scale = config.number_or("attention_value_scale", 1.0);
  model.sliding = full;
  model.sliding.shape = read_shape(config, "swa_", full.shape);
  const std::int64_t window = config.size_or("sliding_window_size", 128);
  model.sliding.window = config.size_or("sliding_window", window);
  full.sinks = config.flag_or("add_full_attention_sink_bias", false);
  model.sliding.sinks = config.flag_or("add_swa_attention_sink_bias", true);
  config.ignore("attention_chunk_size");  // equals the window; the class does not read it
  read_ropes(config, model);
}

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe = read_deepseek_moe(config, hidden);
  moe.router = Catalog<Router>::instance().at("sigmoid_grouped", "router");
  read_groups(config, 2, moe);
  config.only("topk_method", "noaux_tc");
  config.only("scoring_func", "sigmoid");
  if (moe.shared_width > 0) config.fail("n_shared_experts", "the class has no shared experts");
  return moe;
}

DecoderFrame read_mimo_frame(ConfigReader& config) {
  DecoderFrame frame = read_frame(config, 1e-5);  // rms_norm_eps, as transformers 5 calls it
  frame.norm_epsilon = config.epsilon_or("layernorm_epsilon", frame.norm_epsilon);
  return frame;
}

std::unique_ptr<Mixer> load_attention(const GroupedQueryParameters& parameters,
                                      const std::shared_ptr<Rope>& rope,
                                      const Checkpoint& weights,
                                      const std::string& prefix) {
  GroupedQueryParameters plain = parameters;
  plain.sinks = false;
  GroupedQueryWeights loaded = load_grouped_query_weights(plain, weights, prefix);
  if (parameters.sinks) {
    const std::string hub = prefix + "attention_sink_bias";
    loaded.sinks =
        weights.vector(!weights.has(hub) && weights.has(prefix + "sinks") ? prefix + "sinks" : hub,
                       parameters.shape.heads);
  }
  return make_grouped_query(plain, rope, std::move(loaded));
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
  loaded.correction_bias = weights.vector(prefix + "gate.e_score_correction_bias", moe.experts);
  return make_moe(moe, std::move(loaded));
}

DecoderLoader read_mimo_v2_flash(ConfigReader& config) {
  MimoV2Flash model;
  model.frame = read_mimo_frame(config);
  model.windowed = read_windowed_layers(config, model.frame.layers);
  model.is_moe = read_layer_flags(config, "moe_layer_freq", model.frame.layers);
  read_attention(config, model);
  model.moe = read_moe(config, model.frame.hidden);
  model.dense_width = config.size_or("intermediate_size", 16384);
  config.ignore("quantization_config");  // the tensors say how they are stored
  return [model](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(model.full.rope);
    const auto window_rope = std::make_shared<Rope>(model.sliding.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      const auto number = static_cast<std::size_t>(layer);
      const bool windowed = model.windowed[number];
      into.mixer = load_attention(windowed ? model.sliding : model.full,
                                  windowed ? window_rope : rope, weights, prefix + "self_attn.");
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
  };
}

const Registered<Architecture> registered{
    "mimo_v2_flash", "MiMo-V2-Flash: windows with sinks, wide keys", {read_mimo_v2_flash}};

}  // namespace
}  // namespace moesim
