// Nemotron-H and Nemotron-3 (transformers 5, modeling_nemotron_h.py, commit 008d9e95): each layer
// is one part, Mamba-2, attention without positions, a mixture or a dense network; experts may work
// in a smaller latent space. Tensors are named as in the hub's checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/mamba2.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

enum class Kind { mamba, attention, mixture, dense };

struct NemotronH {
  DecoderFrame frame;
  std::vector<Kind> kinds;  // by layer
  Mamba2Parameters mamba;
  GroupedQueryParameters attention;
  MoeParameters moe;
  std::int64_t latent = 0;  // 0 = experts work on the hidden state
  std::int64_t dense_width = 0;
  bool mlp_bias = false;  // of dense parts and the shared expert, not of routed experts
};

// hybrid_override_pattern's letters.
Kind kind_of(const JsonNode& pattern, char letter) {
  switch (letter) {
    case 'M':
      return Kind::mamba;
    case '*':
      return Kind::attention;
    case 'E':
      return Kind::mixture;
    case '-':
      return Kind::dense;
    default:
      pattern.fail(fmt::format(
          "\"{}\" is no kind of layer: M (Mamba-2), * (attention), E (experts) and - (dense) are",
          letter));
  }
}

// A list's names; those of transformers 5 are the later two.
Kind kind_of(const JsonNode& name) {
  const std::string kind = name.as_choice(
      {"mamba", "attention", "moe", "mlp", "linear_attention", "full_attention"}, "kind of layer");
  if (kind == "mamba" || kind == "linear_attention") return Kind::mamba;
  if (kind == "attention" || kind == "full_attention") return Kind::attention;
  return kind == "moe" ? Kind::mixture : Kind::dense;
}

std::vector<Kind> read_kinds(ConfigReader& config) {
  std::vector<Kind> kinds;
  const auto pattern = config.find("hybrid_override_pattern");
  auto list = config.find("layers_block_type");
  if (const auto newer = config.find("layer_types"); newer && !list) list = newer;
  if (list) {
    for (const JsonNode& item : list->items()) kinds.push_back(kind_of(item));
  } else if (pattern) {
    for (const char letter : pattern->as_string()) kinds.push_back(kind_of(*pattern, letter));
  } else {
    throw InputError(
        "config.json: neither hybrid_override_pattern nor layers_block_type says what the layers "
        "are");
  }
  const auto layers = static_cast<std::int64_t>(kinds.size());
  if (config.size_or("num_hidden_layers", layers) != layers)
    config.fail("num_hidden_layers",
                fmt::format("the layers' pattern has {} entries", kinds.size()));
  const JsonNode& source = list ? *list : *pattern;
  if (std::find(kinds.begin(), kinds.end(), Kind::mixture) == kinds.end())
    source.fail("no layer is a mixture of experts");
  return kinds;
}

Mamba2Parameters read_mamba(ConfigReader& config, const DecoderFrame& frame) {
  Mamba2Parameters mamba;
  mamba.hidden = frame.hidden;
  mamba.heads = config.size_or("mamba_num_heads", 128);
  mamba.head_dim = config.size_or("mamba_head_dim", 64);
  mamba.groups = config.size_or("n_groups", 8);
  mamba.state_size = config.size_or("ssm_state_size", 128);
  mamba.kernel = config.size_or("conv_kernel", 4);
  mamba.bias = config.flag_or("use_bias", false);
  mamba.convolution_bias = config.flag_or("use_conv_bias", true);
  mamba.norm_epsilon = frame.norm_epsilon;
  mamba.least_step = static_cast<float>(config.number_or("time_step_min", 0.001));
  config.only("mamba_hidden_act", "silu");
  if (mamba.heads % mamba.groups != 0)
    config.fail(config.find("n_groups") ? "n_groups" : "mamba_num_heads",
                fmt::format("{} groups do not divide the {} heads", mamba.groups, mamba.heads));
  // How it is computed or begun, not what. The class's own loop clamps dt at time_step_min alone;
  // time_step_limit goes to GPU kernels, and no published model has one that cuts.
  for (const char* key :
       {"chunk_size", "expand", "mamba_proj_bias", "mamba_ssm_cache_dtype", "time_step_floor",
        "time_step_limit", "time_step_max", "use_mamba_kernels"})
    config.ignore(key);
  return mamba;
}

GroupedQueryParameters read_attention(ConfigReader& config, std::int64_t hidden) {
  GroupedQueryParameters attention;
  attention.hidden = hidden;
  HeadShape& shape = attention.shape;
  shape.heads = config.size_or("num_attention_heads", 32);
  shape.kv_heads = config.size_or("num_key_value_heads",
                                  config.is_null("num_key_value_heads") ? shape.heads : 8);
  shape.key_dim = shape.value_dim = config.size_or("head_dim", 128);
  if (shape.heads % shape.kv_heads != 0)
    config.fail("num_key_value_heads", fmt::format("{} does not divide the {} attention heads",
                                                   shape.kv_heads, shape.heads));
  attention.rotated = false;
  attention.qkv_bias = attention.output_bias = config.flag_or("attention_bias", false);
  config.only("sliding_window", nullptr);
  for (const char* key : {"partial_rotary_factor", "rope_theta", "rope_scaling"})
    config.ignore(key);  // no layer rotates
  return attention;
}

Activation read_activation(ConfigReader& config) {
  const auto value = config.find("mlp_hidden_act");
  const std::string name =
      value ? value->as_choice({"relu2", "relu", "gelu"}, "implemented activation") : "relu2";
  if (name == "relu") return {.kind = ActivationKind::relu};
  return {.kind = name == "gelu" ? ActivationKind::gelu : ActivationKind::relu_squared};
}

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe;
  moe.hidden = hidden;
  moe.experts = config.size("n_routed_experts");
  moe.top_k = config.size("num_experts_per_tok");
  moe.width = config.size("moe_intermediate_size");
  moe.shared_width = config.size("moe_shared_expert_intermediate_size");
  moe.activation = read_activation(config);
  moe.router = Catalog<Router>::instance().at("sigmoid_grouped", "router");
  moe.routing.renormalise = config.flag_or("norm_topk_prob", true);
  moe.routing.scale = config.number_or("routed_scaling_factor", 1.0);
  check_experts(config, "n_routed_experts", moe);
  read_groups(config, 2, moe);
  // The hub's class has one shared network of moe_shared_expert_intermediate_size, whatever the
  // count says.
  for (const char* key : {"n_shared_experts", "moe_shared_expert_overlap"}) config.ignore(key);
  return moe;
}

DecoderFrame read_nemotron_frame(ConfigReader& config, std::int64_t layers) {
  DecoderFrame frame;
  frame.vocabulary = config.size("vocab_size");
  frame.hidden = config.size("hidden_size");
  frame.layers = layers;
  frame.norm_epsilon = config.epsilon_or("layer_norm_epsilon", 1e-5);
  frame.tied = config.flag_or("tie_word_embeddings", false);
  frame.embedding = "backbone.embeddings.weight";
  frame.final_norm = "backbone.norm_f";
  frame.layer_prefix = "backbone.layers.";
  set_layer_range(config, frame);
  return frame;
}

std::unique_ptr<FeedForward> load_mixture(const NemotronH& model,
                                          const Checkpoint& weights,
                                          const std::string& prefix) {
  const MoeParameters& moe = model.moe;
  const std::int64_t inside = model.latent > 0 ? model.latent : moe.hidden;
  MoeWeights loaded;
  loaded.router = weights.matrix(prefix + "gate.weight", moe.experts, moe.hidden);
  loaded.correction_bias = weights.vector(prefix + "gate.e_score_correction_bias", moe.experts);
  loaded.experts.reserve(static_cast<std::size_t>(moe.experts));
  for (std::int64_t expert = 0; expert < moe.experts; ++expert)
    loaded.experts.push_back(load_network(weights, fmt::format("{}experts.{}.", prefix, expert), {},
                                          {inside, moe.width, moe.activation, false}));
  loaded.shared = load_network(weights, prefix + "shared_experts.", {},
                               {moe.hidden, moe.shared_width, moe.activation, model.mlp_bias});
  if (model.latent > 0) {
    loaded.latent_down = weights.matrix(prefix + "fc1_latent_proj.weight", inside, moe.hidden);
    loaded.latent_up = weights.matrix(prefix + "fc2_latent_proj.weight", moe.hidden, inside);
  }
  return make_moe(moe, std::move(loaded));
}

std::unique_ptr<DecoderLayer> load_layer(const NemotronH& model,
                                         const Checkpoint& weights,
                                         Kind kind,
                                         const std::string& prefix) {
  const Norm norm =
      load_rms_norm(weights, prefix + "norm", model.frame.hidden, model.frame.norm_epsilon);
  const std::string mixer = prefix + "mixer.";
  ResidualParts parts;
  parts.mixer_norm = parts.ffn_norm = norm;
  if (kind == Kind::mamba) parts.mixer = load_mamba2(model.mamba, weights, mixer);
  if (kind == Kind::attention) {
    // The authors' own code has the biases that attention_bias asks for; the hub's class has none.
    GroupedQueryParameters attention = model.attention;
    if (!weights.has(mixer + "q_proj.bias")) attention.qkv_bias = attention.output_bias = false;
    parts.mixer = load_grouped_query(attention, nullptr, weights, mixer);
  }
  if (kind == Kind::mixture) parts.ffn = load_mixture(model, weights, mixer);
  if (kind == Kind::dense)
    parts.ffn = make_dense(load_network(
        weights, mixer, {},
        {model.frame.hidden, model.dense_width, model.moe.activation, model.mlp_bias}));
  return make_residual_layer(std::move(parts));
}

DecoderLoader read_nemotron_h(ConfigReader& config) {
  NemotronH model;
  model.kinds = read_kinds(config);
  model.frame = read_nemotron_frame(config, static_cast<std::int64_t>(model.kinds.size()));
  model.mamba = read_mamba(config, model.frame);
  model.attention = read_attention(config, model.frame.hidden);
  model.moe = read_moe(config, model.frame.hidden);
  model.latent = config.size_or("moe_latent_size", 0);
  model.mlp_bias = config.flag_or("mlp_bias", false);
  if (model.mlp_bias && model.latent > 0)
    config.fail("mlp_bias", "is not implemented together with moe_latent_size");
  model.dense_width = config.size_or("intermediate_size", 21504);
  for (const char* key :
       {"norm_eps", "num_logits_to_keep", "rescale_prenorm_residual", "residual_in_fp32",
        "mtp_hybrid_override_pattern", "mtp_layers_block_type", "quantization_config"})
    config.ignore(key);  // not read by the class, or about training and storage
  return [model](const Checkpoint& weights) {
    Decoder decoder =
        load_frame(model.frame, weights, [&](std::int64_t layer, const std::string& prefix) {
          return load_layer(model, weights, model.kinds[static_cast<std::size_t>(layer)], prefix);
        });
    decoder.experts = model.moe.experts;
    decoder.top_k = model.moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "nemotron_h", "Nemotron-H: Mamba-2, attention and latent experts", {read_nemotron_h}};

}  // namespace
}  // namespace moesim
