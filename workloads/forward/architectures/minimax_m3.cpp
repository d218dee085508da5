// MiniMax-M3, its text model (transformers 5.x modular_minimax_m3_vl.py, commit 0117d5f7):
// grouped-query attention that keeps blocks of keys, norms that store w - 1, gpt-oss's clamped
// activation, sigmoid routing with a correction bias, a shared expert. Tensor names are those of
// the published checkpoint, with or without "language_model.". No golden vectors: checked against a
// naive double-precision decoder written from those formulas (tests). sparse_init_block, which that
// code does not read, keeps the first blocks, as its name says.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/block_indexer.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

struct MinimaxParameters {
  DecoderFrame frame;
  GroupedQueryParameters attention;
  BlockIndexerParameters indexer;
  MoeParameters moe;
  std::vector<bool> selects, sparse;  // by layer: has an indexer; has a mixture of experts
  std::int64_t dense_width = 0;
  bool routing_bias = true;
};

DecoderFrame read_m3_frame(ConfigReader& config) {
  DecoderFrame frame;
  frame.vocabulary = config.size("vocab_size");
  frame.hidden = config.size("hidden_size");
  frame.layers = config.size("num_hidden_layers");
  frame.norm_epsilon = config.epsilon_or("rms_norm_eps", 1e-6);
  frame.norm_offset = config.flag_or("use_gemma_norm", true) ? 1.0F : 0.0F;
  frame.tied = config.flag_or("tie_word_embeddings", false);
  // The class computes the clamped activation whatever the key says; both spellings are published.
  const auto activation = config.find("hidden_act");
  if (activation) activation->as_choice({"swigluoai", "silu"}, "implemented activation");
  set_layer_range(config, frame);
  return frame;
}

GroupedQueryParameters read_attention(ConfigReader& config, const DecoderFrame& frame) {
  constexpr double kTheta = 5e6;
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, kTheta);
  const std::int64_t dims = config.size_or("rotary_dim", 64);
  if (dims > attention.shape.key_dim || dims % 2 != 0)
    config.fail(config.find("rotary_dim") ? "rotary_dim" : "head_dim",
                fmt::format("{} rotated dimensions must be even and at most the head size {}", dims,
                            attention.shape.key_dim));
  attention.rope = read_rope(config, dims, kTheta);
  if (config.flag_or("use_qk_norm", true)) attention.norm = QueryKeyNorm::per_head;
  config.only("qk_norm_type", "per_head");
  attention.norm_epsilon = frame.norm_epsilon;
  attention.norm_offset = frame.norm_offset;
  config.only("attention_output_gate", false);
  return attention;
}

// A list of 0 and 1 of one entry a layer.
std::vector<bool> flags_of(const JsonNode& list, std::int64_t layers) {
  std::vector<bool> flags;
  for (const JsonNode& item : list.items()) flags.push_back(item.as_int(0, 1) == 1);
  if (static_cast<std::int64_t>(flags.size()) != layers)
    list.fail(fmt::format("has {} entries for {} layers", flags.size(), layers));
  return flags;
}

// A list of names of one entry a layer: whether it is `marked`.
std::vector<bool> names_of(const JsonNode& list,
                           std::int64_t layers,
                           const std::string& marked,
                           const std::string& other) {
  std::vector<bool> flags;
  for (const JsonNode& item : list.items())
    flags.push_back(item.as_choice({marked, other}, "kind of layer") == marked);
  if (static_cast<std::int64_t>(flags.size()) != layers)
    list.fail(fmt::format("has {} entries for {} layers", flags.size(), layers));
  return flags;
}

// The object of the published configuration, whose entries win over the plain keys.
void read_sparse_object(const JsonNode& object, MinimaxParameters& parameters) {
  object.allow_only({"sparse_attention_freq", "sparse_block_size", "sparse_disable_index_value",
                     "sparse_index_dim", "sparse_init_block", "sparse_local_block",
                     "sparse_num_index_heads", "sparse_score_type", "sparse_topk_blocks",
                     "use_sparse_attention"});
  BlockIndexerParameters& indexer = parameters.indexer;
  const auto read = [&object](const char* key, std::int64_t low, std::int64_t& into) {
    if (const auto value = object.find(key)) into = value->as_int(low, 1 << 20);
  };
  read("sparse_num_index_heads", 1, indexer.heads);
  read("sparse_index_dim", 1, indexer.head_dim);
  read("sparse_block_size", 1, indexer.block_size);
  read("sparse_topk_blocks", 1, indexer.top_k);
  read("sparse_local_block", 0, indexer.local_blocks);
  read("sparse_init_block", 0, indexer.first_blocks);
  if (const auto type = object.find("sparse_score_type"))
    type->as_choice({"max"}, "implemented score");
  const std::int64_t layers = parameters.frame.layers;
  const auto on = object.find("use_sparse_attention");
  if (const auto list = object.find("sparse_attention_freq");
      list && parameters.selects.empty() && (!on || on->as_bool()))
    parameters.selects = flags_of(*list, layers);
  const auto disabled = object.find("sparse_disable_index_value");
  if (!disabled || parameters.selects.empty()) return;
  const std::vector<bool> values = flags_of(*disabled, layers);
  for (std::size_t layer = 0; layer < values.size(); ++layer)
    if (parameters.selects[layer] && !values[layer])
      disabled->fail(fmt::format("layer {} adds index values, which is not implemented", layer));
}

void read_indexer(ConfigReader& config, MinimaxParameters& parameters) {
  BlockIndexerParameters& indexer = parameters.indexer;
  const GroupedQueryParameters& attention = parameters.attention;
  indexer.hidden = parameters.frame.hidden;
  indexer.heads = config.size_or("index_n_heads", 4);
  indexer.head_dim = config.size_or("index_head_dim", 128);
  indexer.block_size = config.size_or("index_block_size", 128);
  indexer.top_k = config.size_or("index_topk_blocks", 16);
  indexer.local_blocks = config.size_or("index_local_blocks", 1, 0);
  indexer.norm_epsilon = parameters.frame.norm_epsilon;
  indexer.norm_offset = parameters.frame.norm_offset;
  const std::int64_t layers = parameters.frame.layers;
  if (const auto list = config.find("layer_types"))
    parameters.selects = names_of(*list, layers, "minimax_m3_sparse", "full_attention");
  const auto object = config.find("sparse_attention_config");
  if (object) read_sparse_object(*object, parameters);
  if (parameters.selects.empty())
    parameters.selects.assign(static_cast<std::size_t>(layers), false);
  const std::string key = object ? "sparse_attention_config" : "num_attention_heads";
  if (attention.shape.heads % indexer.heads != 0)
    config.fail(key, fmt::format("{} index heads do not divide the {} attention heads",
                                 indexer.heads, attention.shape.heads));
  if (indexer.head_dim < attention.rope.dims)
    config.fail(key, fmt::format("index heads of {} cannot rotate {} dimensions", indexer.head_dim,
                                 attention.rope.dims));
}

void read_moe(ConfigReader& config, MinimaxParameters& parameters) {
  MoeParameters& moe = parameters.moe;
  moe.hidden = parameters.frame.hidden;
  moe.experts = config.size("num_local_experts");
  moe.top_k = config.size("num_experts_per_tok");
  moe.width = config.size("intermediate_size");
  config.only("moe_intermediate_size", moe.width);
  moe.shared_width = config.size_or("shared_intermediate_size", 3072, 0);
  config.only("n_shared_experts", 1);
  moe.activation.kind = ActivationKind::clamped_gated;
  moe.activation.alpha = static_cast<float>(config.number_or("swiglu_alpha", 1.702));
  moe.activation.limit = static_cast<float>(config.number_or("swiglu_limit", 7.0));
  if (moe.activation.limit <= 0) config.fail("swiglu_limit", "must be above 0");
  moe.routing.scale = config.number_or("routed_scaling_factor", 2.0);
  moe.router = Catalog<Router>::instance().at("sigmoid", "router");
  check_experts(config, "num_local_experts", moe);
  config.only("scoring_func", "sigmoid");
  parameters.routing_bias = config.flag_or("use_routing_bias", true);
  const std::int64_t layers = parameters.frame.layers;
  parameters.sparse.assign(static_cast<std::size_t>(layers), true);
  if (const auto list = config.find("moe_layer_freq")) parameters.sparse = flags_of(*list, layers);
  if (const auto list = config.find("mlp_layer_types"))
    parameters.sparse = names_of(*list, layers, "sparse", "dense");
  // Published beside the list, which says the same.
  const auto first = std::find(parameters.sparse.begin(), parameters.sparse.end(), true);
  config.only("first_k_dense_replace", first - parameters.sparse.begin());
  if (first == parameters.sparse.end())
    config.fail(config.find("mlp_layer_types") ? "mlp_layer_types" : "moe_layer_freq",
                "no layer is left with a mixture of experts");
  parameters.dense_width = config.size_or("dense_intermediate_size", 12288);
}

std::unique_ptr<FeedForward> load_ffn(const MinimaxParameters& parameters,
                                      bool sparse,
                                      const Checkpoint& weights,
                                      const std::string& prefix) {
  const MoeParameters& moe = parameters.moe;
  if (!sparse)
    return make_dense(load_network(weights, prefix + "mlp.", {},
                                   {moe.hidden, parameters.dense_width, moe.activation, false}));
  const std::string block = prefix + "block_sparse_moe.";
  MoeWeights loaded = load_moe(weights, block, {"w1", "w3", "w2"}, moe);
  if (parameters.routing_bias)
    loaded.correction_bias = weights.vector(block + "e_score_correction_bias", moe.experts);
  if (moe.shared_width > 0)
    loaded.shared = load_network(weights, block + "shared_experts.", {},
                                 {moe.hidden, moe.shared_width, moe.activation, false});
  return make_moe(moe, std::move(loaded));
}

Decoder load(const MinimaxParameters& parameters, const Checkpoint& weights) {
  DecoderFrame frame = parameters.frame;
  if (!weights.has(frame.embedding))
    for (std::string* name :
         {&frame.embedding, &frame.final_norm, &frame.head, &frame.layer_prefix})
      *name = "language_model." + *name;
  const auto rope = std::make_shared<Rope>(parameters.attention.rope);
  Decoder decoder = load_residual_frame(
      frame, weights, [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
        const auto at = static_cast<std::size_t>(layer);
        const std::string attention = prefix + "self_attn.";
        GroupedQueryWeights loaded =
            load_grouped_query_weights(parameters.attention, weights, attention);
        if (parameters.selects[at])
          loaded.selector = load_block_indexer(parameters.indexer, rope, weights, attention);
        into.mixer = make_grouped_query(parameters.attention, rope, std::move(loaded));
        into.ffn = load_ffn(parameters, parameters.sparse[at], weights, prefix);
      });
  decoder.experts = parameters.moe.experts;
  decoder.top_k = parameters.moe.top_k;
  return decoder;
}

DecoderLoader read_minimax_m3(ConfigReader& config) {
  MinimaxParameters parameters;
  parameters.frame = read_m3_frame(config);
  parameters.attention = read_attention(config, parameters.frame);
  read_indexer(config, parameters);
  read_moe(config, parameters);
  for (const char* unused : {"num_mtp_modules", "mtp_transformer_layers"})
    config.ignore(unused);  // of modules for further tokens at once
  return [=](const Checkpoint& weights) { return load(parameters, weights); };
}

const Registered<Architecture> registered{
    "minimax_m3", "MiniMax-M3: attention over chosen blocks, sigmoid routing", {read_minimax_m3}};

}  // namespace
}  // namespace moesim
