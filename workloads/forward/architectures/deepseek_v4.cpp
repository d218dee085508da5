// DeepSeek-V4, Flash and Pro (arXiv 2606.19348; transformers 5.x modeling_deepseek_v4.py, commit
// 01976081, and configuration_deepseek_v4.py): hyper-connected streams, compressed attention, hash
// routing in the first layers, clamped SwiGLU. Tensor names are those of the published checkpoint.
// No golden vectors: checked against a naive double-precision decoder written from those formulas
// (tests). The rounding of keys and index scores to FP8 and FP4 in DeepSeek's own code is not
// modelled. Its modules for further tokens at once are left out.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/compressed_attention.h"
#include "workloads/forward/hyper_connections.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

struct V4Parameters {
  DecoderFrame frame;
  CompressedAttentionParameters attention;
  std::vector<Compression> kinds;  // by layer
  std::vector<bool> hashed;        // by layer: experts by token id
  std::int64_t heavy_ratio = 128, sparse_ratio = 4;
  RopeParameters window_rope, compressed_rope;  // layers without and with compression
  HyperParameters streams;
  MoeParameters moe;
};

// compress_rates, or the older keys of one number each.
void read_ratios(ConfigReader& config, V4Parameters& parameters) {
  constexpr std::int64_t kLargest = 1 << 20;
  const auto rates = config.find("compress_rates");
  if (rates) rates->allow_only({"compressed_sparse_attention", "heavily_compressed_attention"});
  const auto read = [&](const char* name, const char* older, std::int64_t& into) {
    if (const auto value = rates ? rates->find(name) : std::nullopt)
      into = value->as_int(1, kLargest);
    into = config.size_or(older, into);
  };
  read("compressed_sparse_attention", "compress_rate_csa", parameters.sparse_ratio);
  read("heavily_compressed_attention", "compress_rate_hca", parameters.heavy_ratio);
}

Compression kind_of_name(const std::string& name) {
  if (name == "sliding_attention") return Compression::none;
  return name == "compressed_sparse_attention" ? Compression::sparse : Compression::heavy;
}

Compression kind_of_ratio(const JsonNode& ratio) {
  const std::int64_t value = ratio.as_int(0, 128);
  if (value != 0 && value != 4 && value != 128)
    ratio.fail("must be 0 (window only), 4 (sparse) or 128 (heavy)");
  if (value == 0) return Compression::none;
  return value == 4 ? Compression::sparse : Compression::heavy;
}

// The class's own order: two heavy layers, then heavy and sparse in turn.
std::vector<Compression> class_kinds(std::size_t layers) {
  std::vector<Compression> kinds;
  kinds.reserve(layers);
  for (std::size_t layer = 0; layer < layers; ++layer)
    kinds.push_back(layer >= 2 && layer % 2 == 1 ? Compression::sparse : Compression::heavy);
  return kinds;
}

// layer_types, else compress_ratios (which may go on with the modules for further tokens), else the
// class's own order.
void read_kinds(ConfigReader& config, V4Parameters& parameters) {
  const auto layers = static_cast<std::size_t>(parameters.frame.layers);
  std::vector<Compression>& kinds = parameters.kinds;
  const auto names = config.find("layer_types");
  const auto ratios = config.find("compress_ratios");
  if (names) {
    for (const JsonNode& name : names->items())
      kinds.push_back(kind_of_name(name.as_choice(
          {"sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"},
          "kind of layer")));
  } else if (ratios) {
    for (const JsonNode& ratio : ratios->items()) kinds.push_back(kind_of_ratio(ratio));
  } else {
    kinds = class_kinds(layers);
  }
  if (kinds.size() < layers)
    config.fail(names ? "layer_types" : "compress_ratios",
                fmt::format("has {} entries for {} layers", kinds.size(), layers));
}

void read_hashed(ConfigReader& config, V4Parameters& parameters) {
  const std::int64_t first = config.size_or("num_hash_layers", 3, 0);
  if (const auto names = config.find("mlp_layer_types")) {
    for (const JsonNode& name : names->items())
      parameters.hashed.push_back(name.as_choice({"hash_moe", "moe"}, "kind of layer") ==
                                  "hash_moe");
    if (static_cast<std::int64_t>(parameters.hashed.size()) < parameters.frame.layers)
      names->fail(fmt::format("has {} entries for {} layers", parameters.hashed.size(),
                              parameters.frame.layers));
    return;
  }
  for (std::int64_t layer = 0; layer < parameters.frame.layers; ++layer)
    parameters.hashed.push_back(layer < first);
}

// Layers without compression rotate plainly by rope_theta; the others by compress_rope_theta, under
// YaRN where given, whose amplitude DeepSeek's code leaves out. transformers 5 writes both as
// rope_parameters.main and .compress.
void read_ropes(ConfigReader& config, V4Parameters& parameters) {
  const std::int64_t dims = parameters.attention.rotated_dim;
  const double theta = config.number_or("rope_theta", 1e4);
  const double compressed_theta = config.number_or("compress_rope_theta", 1.6e5);
  if (theta <= 1) config.fail("rope_theta", "must be above 1");
  if (compressed_theta <= 1) config.fail("compress_rope_theta", "must be above 1");
  const auto nested = config.find("rope_parameters");
  if (nested && nested->find("main") && nested->find("compress")) {
    parameters.window_rope = read_rope_of(config, nested->find("main"), dims, theta);
    parameters.compressed_rope =
        read_rope_of(config, nested->find("compress"), dims, compressed_theta);
  } else {
    parameters.window_rope.dims = dims;
    parameters.window_rope.theta = theta;
    parameters.compressed_rope = read_rope(config, dims, theta);
    parameters.compressed_rope.theta = compressed_theta;
    auto& yarn = parameters.compressed_rope.yarn;
    if (yarn && !yarn->attention_factor) yarn->attention_factor = 1;
  }
  parameters.window_rope.interleaved = parameters.compressed_rope.interleaved = true;
}

void read_attention(ConfigReader& config, V4Parameters& parameters) {
  CompressedAttentionParameters& attention = parameters.attention;
  attention.hidden = parameters.frame.hidden;
  attention.norm_epsilon = parameters.frame.norm_epsilon;
  attention.heads = config.size("num_attention_heads");
  attention.head_dim = config.size_or("head_dim", 512);
  const double share = config.number_or("partial_rotary_factor", 64.0 / 512);
  attention.rotated_dim =
      config.size_or("qk_rope_head_dim",
                     static_cast<std::int64_t>(static_cast<double>(attention.head_dim) * share));
  if (attention.rotated_dim % 2 != 0 || attention.rotated_dim > attention.head_dim)
    config.fail(config.find("qk_rope_head_dim") ? "qk_rope_head_dim" : "model_type",
                fmt::format("{} rotated dimensions must be even and at most the head size {}",
                            attention.rotated_dim, attention.head_dim));
  attention.query_rank = config.size_or("q_lora_rank", 1024);
  attention.window = config.size_or("sliding_window", 128);
  attention.output_groups = config.size_or("o_groups", 8);
  attention.output_rank = config.size_or("o_lora_rank", 1024);
  if (attention.heads % attention.output_groups != 0)
    config.fail("num_attention_heads", fmt::format("{} heads do not fall into {} o_groups",
                                                   attention.heads, attention.output_groups));
  attention.index_heads = config.size_or("index_n_heads", 64);
  attention.index_head_dim = config.size_or("index_head_dim", 128);
  attention.index_top_k = config.size_or("index_topk", 512);
  if (attention.index_head_dim < attention.rotated_dim)
    config.fail(config.find("index_head_dim") ? "index_head_dim" : "model_type",
                fmt::format("index heads of {} cannot rotate {} dimensions",
                            attention.index_head_dim, attention.rotated_dim));
  config.only("num_key_value_heads", 1);
  config.only("attention_bias", false);
}

void read_moe(ConfigReader& config, V4Parameters& parameters) {
  MoeParameters& moe = parameters.moe;
  moe.hidden = parameters.frame.hidden;
  moe.experts = config.size("n_routed_experts");
  moe.top_k = config.size("num_experts_per_tok");
  moe.width = config.size("moe_intermediate_size");
  moe.shared_width = moe.width;
  config.only("n_shared_experts", 1);
  moe.routing.scale = config.number_or("routed_scaling_factor", 1.5);
  moe.activation.limit = static_cast<float>(config.number_or("swiglu_limit", 10.0));
  if (moe.activation.limit <= 0) config.fail("swiglu_limit", "must be above 0");
  check_experts(config, "n_routed_experts", moe);
  config.only("scoring_func", "sqrtsoftplus");
  config.only("norm_topk_prob", true);
  config.only("topk_method", "noaux_tc");
  config.only("mlp_bias", false);
  config.ignore("expert_dtype");  // the tensors say how they are stored
}

V4Parameters read_parameters(ConfigReader& config) {
  V4Parameters parameters;
  parameters.frame = read_frame(config, 1e-6);
  parameters.frame.embedding = "embed.weight";
  parameters.frame.final_norm = "norm";
  parameters.frame.head = "head.weight";
  parameters.frame.layer_prefix = "layers.";
  read_attention(config, parameters);
  read_ratios(config, parameters);
  read_kinds(config, parameters);
  read_hashed(config, parameters);
  read_ropes(config, parameters);
  read_moe(config, parameters);
  HyperParameters& streams = parameters.streams;
  streams.hidden = parameters.frame.hidden;
  streams.streams = config.size_or("hc_mult", 4);
  streams.iterations = config.size_or("hc_sinkhorn_iters", 20);
  streams.epsilon = config.epsilon_or("hc_eps", 1e-6);
  streams.norm_epsilon = parameters.frame.norm_epsilon;
  return parameters;
}

std::unique_ptr<FeedForward> load_ffn(const V4Parameters& parameters,
                                      bool hashed,
                                      const Checkpoint& weights,
                                      const std::string& prefix) {
  MoeParameters moe = parameters.moe;
  MoeWeights loaded = load_moe(weights, prefix, {"w1", "w3", "w2"}, moe);
  moe.router =
      Catalog<Router>::instance().at(hashed ? "sqrt_softplus_hash" : "sqrt_softplus", "router");
  if (hashed) {
    const std::vector<std::int64_t> table =
        weights.ids(prefix + "gate.tid2eid", {parameters.frame.vocabulary, moe.top_k}, moe.experts);
    loaded.token_experts.assign(table.begin(), table.end());
  } else {
    loaded.correction_bias = weights.vector(prefix + "gate.bias", moe.experts);
  }
  loaded.shared = load_network(weights, prefix + "shared_experts.", {"w1", "w3", "w2"},
                               {moe.hidden, moe.shared_width, moe.activation, false});
  return make_moe(moe, std::move(loaded));
}

// Layers of one kind share a rope.
struct Ropes {
  std::shared_ptr<Rope> window, compressed;
};

std::unique_ptr<DecoderLayer> load_layer(const V4Parameters& parameters,
                                         const Ropes& ropes,
                                         const Checkpoint& weights,
                                         std::int64_t layer) {
  const std::string prefix = fmt::format("{}{}.", parameters.frame.layer_prefix, layer);
  const Compression kind = parameters.kinds[static_cast<std::size_t>(layer)];
  CompressedAttentionParameters attention = parameters.attention;
  attention.compression = kind;
  attention.ratio = kind == Compression::sparse ? parameters.sparse_ratio : parameters.heavy_ratio;
  const auto norm = [&](const char* name) {
    return load_rms_norm(weights, prefix + name, parameters.frame.hidden,
                         parameters.frame.norm_epsilon);
  };
  const auto& rope = kind == Compression::none ? ropes.window : ropes.compressed;
  return make_hyper_layer({HyperConnection(parameters.streams, weights, prefix + "hc_attn_"),
                           HyperConnection(parameters.streams, weights, prefix + "hc_ffn_"),
                           norm("attn_norm"), norm("ffn_norm"),
                           load_compressed_attention(attention, rope, weights, prefix + "attn."),
                           load_ffn(parameters, parameters.hashed[static_cast<std::size_t>(layer)],
                                    weights, prefix + "ffn.")});
}

Decoder load(const V4Parameters& parameters, const Checkpoint& weights) {
  const Ropes ropes{std::make_shared<Rope>(parameters.window_rope),
                    std::make_shared<Rope>(parameters.compressed_rope)};
  Decoder decoder =
      load_frame(parameters.frame, weights, [&](std::int64_t layer, const std::string&) {
        return load_layer(parameters, ropes, weights, layer);
      });
  decoder.residual_width = parameters.streams.streams * parameters.frame.hidden;
  decoder.spread = spread_streams;
  decoder.gather = [head = HyperHead(parameters.streams, weights, "hc_head_")](
                       const ForwardStep& step, const ConstMatrix& residual, const Matrix& hidden) {
    head.collapse(step.pool, residual, hidden);
  };
  decoder.experts = parameters.moe.experts;
  decoder.top_k = parameters.moe.top_k;
  return decoder;
}

DecoderLoader read_deepseek_v4(ConfigReader& config) {
  const V4Parameters parameters = read_parameters(config);
  return [=](const Checkpoint& weights) { return load(parameters, weights); };
}

const Registered<Architecture> registered{
    "deepseek_v4",
    "DeepSeek-V4: hyper-connected streams, compressed attention, hash-routed first layers",
    {read_deepseek_v4}};

}  // namespace
}  // namespace moesim
