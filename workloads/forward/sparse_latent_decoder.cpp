// Reading DeepSeek-V3.2's and GLM-5's configurations and building their layers.
#include "workloads/forward/sparse_latent_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/latent_attention.h"
#include "workloads/forward/lightning_indexer.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

struct SparseLatentParameters {
  DecoderFrame frame;
  LatentParameters attention;
  IndexerParameters indexer;
  MoeParameters moe;
  std::vector<bool> dense, shares;  // by layer: dense feed-forward part; takes over a choice
  std::int64_t dense_width = 0;
};

// The class's own groups, where the configuration names none; a group is scored by its two best.
void use_class_groups(const ConfigReader& config,
                      const SparseLatentClass& of_class,
                      MoeParameters& moe) {
  if (of_class.groups == 1) return;
  const std::int64_t members = moe.experts / of_class.groups;
  if (moe.experts % of_class.groups != 0 || members < 2 ||
      members * of_class.kept_groups < moe.top_k)
    config.fail("n_routed_experts",
                fmt::format("{} experts, {} a token, do not fit the class's {} groups, of which "
                            "{} are kept; give n_group and topk_group",
                            moe.experts, moe.top_k, of_class.groups, of_class.kept_groups));
  moe.routing.groups = of_class.groups;
  moe.routing.kept_groups = of_class.kept_groups;
}

MoeParameters read_moe(ConfigReader& config,
                       std::int64_t hidden,
                       const SparseLatentClass& of_class) {
  MoeParameters moe = read_deepseek_moe(config, hidden);
  moe.router = Catalog<Router>::instance().at("sigmoid_grouped", "router");
  if (!config.find("n_shared_experts")) moe.shared_width = moe.width;
  if (!config.find("routed_scaling_factor")) moe.routing.scale = 2.5;
  read_groups(config, 2, moe);
  if (!config.find("n_group") && !config.find("topk_group"))
    use_class_groups(config, of_class, moe);
  config.only("topk_method", "noaux_tc");
  config.only("scoring_func", "sigmoid");
  config.only("moe_layer_freq", 1);
  config.only("mlp_bias", false);
  return moe;
}

// By layer, whether `key` names `marked` rather than `other`; empty when absent.
std::vector<bool> read_marks(ConfigReader& config,
                             const std::string& key,
                             std::int64_t layers,
                             const std::string& marked,
                             const std::string& other) {
  std::vector<bool> marks;
  const auto list = config.find(key);
  if (!list) return marks;
  for (const JsonNode& item : list->items())
    marks.push_back(item.as_choice({marked, other}, key) == marked);
  if (static_cast<std::int64_t>(marks.size()) != layers)
    config.fail(key, fmt::format("has {} entries for {} layers", marks.size(), layers));
  return marks;
}

std::vector<bool> read_dense_layers(ConfigReader& config, std::int64_t layers) {
  const std::int64_t leading = config.size_or("first_k_dense_replace", 3, 0);
  std::vector<bool> dense = read_marks(config, "mlp_layer_types", layers, "dense", "sparse");
  if (dense.empty())
    for (std::int64_t layer = 0; layer < layers; ++layer) dense.push_back(layer < leading);
  if (std::find(dense.begin(), dense.end(), false) == dense.end())
    config.fail(config.find("mlp_layer_types") ? "mlp_layer_types" : "num_hidden_layers",
                "no layer is left with a mixture of experts");
  return dense;
}

// Which layers take over the choice of the last full layer before them.
std::vector<bool> read_shared_layers(ConfigReader& config, std::int64_t layers) {
  const std::int64_t every = std::max<std::int64_t>(config.size_or("index_topk_freq", 1, 0), 1);
  const std::int64_t skipped = config.size_or("index_skip_topk_offset", 2, 0);
  const auto pattern = config.find("index_topk_pattern");
  std::vector<bool> shares = read_marks(config, "indexer_types", layers, "shared", "full");
  if (shares.empty() && pattern && pattern->is_string()) {
    const std::string letters = pattern->as_string();
    if (static_cast<std::int64_t>(letters.size()) != layers ||
        letters.find_first_not_of("FS") != std::string::npos)
      pattern->fail(fmt::format("must be {} letters, F (full) or S (shared)", layers));
    for (const char letter : letters) shares.push_back(letter == 'S');
  } else if (shares.empty() && pattern) {
    shares = read_marks(config, "index_topk_pattern", layers, "shared", "full");
  }
  for (std::int64_t layer = 0; shares.size() < static_cast<std::size_t>(layers); ++layer)
    shares.push_back(std::max<std::int64_t>(layer - skipped + 1, 0) % every != 0);
  return shares;
}

void check_shared_layers(const ConfigReader& config, const SparseLatentParameters& parameters) {
  const std::int64_t first = parameters.frame.first_layer;
  if (!parameters.shares[static_cast<std::size_t>(first)]) return;
  const std::string message = fmt::format(
      "layer {} takes over the choice of keys of an earlier layer, and none comes before it",
      first);
  if (first == 0) config.fail("model_type", message);
  throw InputError(message + " in the layers asked for");
}

SparseLatentParameters read_parameters(ConfigReader& config, const SparseLatentClass& of_class) {
  SparseLatentParameters parameters;
  parameters.frame = read_frame(config, of_class.norm_epsilon);
  const std::int64_t hidden = parameters.frame.hidden, layers = parameters.frame.layers;
  LatentParameters& attention = parameters.attention;
  attention = read_latent(config, hidden);
  attention.rope = read_rope(config, attention.rotated_dim, of_class.rope_theta);
  attention.rope.interleaved = true;
  config.only("rope_interleave", true);
  if (attention.query_rank == 0)
    config.fail("model_type", "q_lora_rank must be given: the indexer reads compressed queries");
  IndexerParameters& indexer = parameters.indexer;
  indexer.hidden = hidden;
  indexer.query_rank = attention.query_rank;
  indexer.heads = config.size_or("index_n_heads", of_class.index_heads);
  indexer.head_dim = config.size_or("index_head_dim", 128);
  indexer.top_k = config.size_or("index_topk", 2048);
  if (indexer.head_dim < attention.rotated_dim)
    config.fail(config.find("index_head_dim") ? "index_head_dim" : "qk_rope_head_dim",
                fmt::format("index heads of {} cannot rotate qk_rope_head_dim {}", indexer.head_dim,
                            attention.rotated_dim));
  indexer.rope = attention.rope;
  indexer.rope.interleaved = config.flag_or("indexer_rope_interleave", of_class.index_interleaved);
  parameters.moe = read_moe(config, hidden, of_class);
  parameters.dense = read_dense_layers(config, layers);
  const bool any_dense =
      std::find(parameters.dense.begin(), parameters.dense.end(), true) != parameters.dense.end();
  parameters.dense_width =
      any_dense ? config.size("intermediate_size") : config.size_or("intermediate_size", 0);
  parameters.shares.assign(static_cast<std::size_t>(layers), false);
  if (of_class.shares_choice) parameters.shares = read_shared_layers(config, layers);
  check_shared_layers(config, parameters);
  read_marks(config, "layer_types", layers, "deepseek_sparse_attention",
             "deepseek_sparse_attention");
  return parameters;
}

std::unique_ptr<FeedForward> load_ffn(const SparseLatentParameters& parameters,
                                      bool dense,
                                      const Checkpoint& weights,
                                      const std::string& mlp) {
  const std::int64_t hidden = parameters.frame.hidden;
  const MoeParameters& moe = parameters.moe;
  if (dense)
    return make_dense(load_network(weights, mlp, {}, {hidden, parameters.dense_width, {}, false}));
  MoeWeights loaded = load_moe(weights, mlp, {}, moe);
  loaded.correction_bias = weights.vector(mlp + "gate.e_score_correction_bias", moe.experts);
  if (moe.shared_width > 0)
    loaded.shared =
        load_network(weights, mlp + "shared_experts.", {}, {hidden, moe.shared_width, {}, false});
  return make_moe(moe, std::move(loaded));
}

Decoder load(const SparseLatentParameters& parameters, const Checkpoint& weights) {
  const auto rope = std::make_shared<Rope>(parameters.attention.rope);
  const auto index_rope = std::make_shared<Rope>(parameters.indexer.rope);
  const bool any_shares = std::find(parameters.shares.begin(), parameters.shares.end(), true) !=
                          parameters.shares.end();
  const auto last = any_shares ? std::make_shared<LastChoice>() : nullptr;
  Decoder decoder = load_residual_frame(
      parameters.frame, weights,
      [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
        const auto at = static_cast<std::size_t>(layer);
        const std::string attention = prefix + "self_attn.";
        const auto selector = parameters.shares[at]
                                  ? make_shared_choice(last)
                                  : load_lightning_indexer(parameters.indexer, index_rope, last,
                                                           weights, attention + "indexer.");
        into.mixer = load_latent(parameters.attention, rope, weights, attention, selector);
        into.ffn = load_ffn(parameters, parameters.dense[at], weights, prefix + "mlp.");
      });
  decoder.experts = parameters.moe.experts;
  decoder.top_k = parameters.moe.top_k;
  return decoder;
}

}  // namespace

DecoderLoader read_sparse_latent_decoder(ConfigReader& config, const SparseLatentClass& of_class) {
  const SparseLatentParameters parameters = read_parameters(config, of_class);
  return [=](const Checkpoint& weights) { return load(parameters, weights); };
}

}  // namespace moesim
