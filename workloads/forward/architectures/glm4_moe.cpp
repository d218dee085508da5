// GLM-4.5 (arXiv 2508.06471; transformers v4.57.1 modeling_glm4_moe.py): grouped-query attention
// that rotates half of each head, DeepSeek-V3's router, dense first layers, shared experts.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

constexpr DeepseekDefaults kAbsent{.shared = 1, .dense = 1};

GroupedQueryParameters read_attention(ConfigReader& config, const DecoderFrame& frame) {
  GroupedQueryParameters attention =
      read_grouped_query(config, frame.hidden, 1e4, {.kv_heads = 8, .rotated_share = 0.5});
  attention.output_bias = false;
  if (config.flag_or("use_qk_norm", false)) attention.norm = QueryKeyNorm::per_head;
  attention.norm_epsilon = frame.norm_epsilon;
  return attention;
}

DecoderLoader read_glm4_moe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-5);
  const GroupedQueryParameters attention = read_attention(config, frame);
  MoeParameters moe = read_deepseek_moe(config, frame.hidden, kAbsent);
  moe.router = Catalog<Router>::instance().at("sigmoid_grouped", "router");
  read_groups(config, 2, moe);
  config.only("scoring_func", "sigmoid");
  config.only("topk_method", "noaux_tc");
  const std::int64_t dense_layers = read_leading_dense(config, frame.layers, kAbsent);
  const std::int64_t dense_width =
      dense_layers > 0 ? config.size("intermediate_size") : config.size_or("intermediate_size", 0);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
      const std::string mlp = prefix + "mlp.";
      if (layer < dense_layers) {
        into.ffn =
            make_dense(load_network(weights, mlp, {}, {frame.hidden, dense_width, {}, false}));
        return;
      }
      MoeWeights loaded = load_moe(weights, mlp, {}, moe);
      loaded.correction_bias = weights.vector(mlp + "gate.e_score_correction_bias", moe.experts);
      if (moe.shared_width > 0)
        loaded.shared = load_network(weights, mlp + "shared_experts.", {},
                                     {frame.hidden, moe.shared_width, {}, false});
      into.ffn = make_moe(moe, std::move(loaded));
    };
    Decoder decoder = load_residual_frame(frame, weights, load);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "glm4_moe", "GLM-4.5: half-rotated heads, grouped sigmoid routing", {read_glm4_moe}};

}  // namespace
}  // namespace moesim
