// MiniMax-M2 (transformers 5.16 modeling_minimax_m2.py): norms over all heads together, partly
// rotated heads, sigmoid routing with a correction bias, no shared expert.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/layer_types.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

GroupedQueryParameters read_attention(ConfigReader& config, const DecoderFrame& frame) {
  constexpr double kTheta = 5e6;
  constexpr std::int64_t kHeadDim = 128;
  // rotary_dim is known first: lists of factors are as long as it asks.
  const std::int64_t dims = config.size_or("rotary_dim", 0);
  const auto head_dim = static_cast<double>(config.size_or("head_dim", kHeadDim));
  // Half a dimension more: the product of share and head size is cut to whole dimensions.
  const double share = dims == 0 ? 1 : std::min(1.0, (static_cast<double>(dims) + 0.5) / head_dim);
  GroupedQueryParameters attention = read_grouped_query(
      config, frame.hidden, kTheta, {.kv_heads = 8, .head_dim = kHeadDim, .rotated_share = share});
  if (dims > attention.shape.key_dim || dims % 2 != 0)
    config.fail("rotary_dim", fmt::format("{} must be even and at most the head size {}", dims,
                                          attention.shape.key_dim));
  if (dims > 0) attention.rope = read_rope(config, dims, kTheta);
  if (config.flag_or("use_qk_norm", true)) attention.norm = QueryKeyNorm::whole;
  config.only("qk_norm_type", "per_layer");
  attention.norm_epsilon = frame.norm_epsilon;
  return attention;
}

// Keys of other members of the family: layers of linear attention, and heads that draft tokens.
void check_family_keys(ConfigReader& config, const DecoderFrame& frame) {
  if (config.find("attn_type_list")) {
    const std::vector<bool> softmax = read_layer_flags(config, "attn_type_list", frame.layers);
    if (std::find(softmax.begin(), softmax.end(), false) != softmax.end())
      config.fail("attn_type_list", "0 (linear attention) is not implemented; only 1 is");
  }
  for (const char* key : {"use_mtp", "mtp_transformer_layers", "num_mtp_modules"})
    config.ignore(key);
}

DecoderLoader read_minimax_m2(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  const GroupedQueryParameters attention = read_attention(config, frame);
  check_family_keys(config, frame);
  MoeParameters moe;
  moe.hidden = frame.hidden;
  moe.experts = config.size("num_local_experts");
  moe.top_k = config.size_or("num_experts_per_tok", 8);
  moe.width = config.size("intermediate_size");
  moe.router = Catalog<Router>::instance().at("sigmoid", "router");
  check_experts(config, "num_local_experts", moe);
  config.only("scoring_func", "sigmoid");
  config.only("shared_intermediate_size", 0);
  const bool biased = config.flag_or("use_routing_bias", true);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    Decoder decoder = load_residual_frame(
        frame, weights, [&](std::int64_t, const std::string& prefix, ResidualParts& into) {
          into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
          const std::string block = prefix + "block_sparse_moe.";
          MoeWeights loaded = load_moe(weights, block, {"w1", "w3", "w2"}, moe);
          if (biased)
            loaded.correction_bias = weights.vector(block + "e_score_correction_bias", moe.experts);
          into.ffn = make_moe(moe, std::move(loaded));
        });
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "minimax_m2", "MiniMax-M2: whole-width norms, sigmoid routing", {read_minimax_m2}};

}  // namespace
}  // namespace moesim
