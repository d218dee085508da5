// DeepSeek-V3 (arXiv 2412.19437): latent attention, dense first layers, group-limited sigmoid
// routing with a correction bias, and shared experts. Kimi-K2 (arXiv 2507.20534) is the same class
// at other sizes, under a model_type of its own.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/latent_attention.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

constexpr DeepseekDefaults kAbsent{
    .shared = 1, .scale = 2.5, .groups = 8, .kept_groups = 4, .dense = 3};

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe = read_deepseek_moe(config, hidden, kAbsent);
  moe.router = Catalog<Router>::instance().at("sigmoid_grouped", "router");
  read_groups(config, 2, moe, kAbsent);
  config.only("topk_method", "noaux_tc");
  config.only("scoring_func", "sigmoid");
  config.only("moe_layer_freq", 1);
  config.ignore("outer_model_type");  // what Kimi-K2.5's vision wrapper calls itself
  return moe;
}

DecoderLoader read_deepseek_v3(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  const LatentParameters attention = read_latent(config, frame.hidden);
  const MoeParameters moe = read_moe(config, frame.hidden);
  const std::int64_t dense_layers = read_leading_dense(config, frame.layers, kAbsent);
  const std::int64_t dense_width =
      dense_layers > 0 ? config.size("intermediate_size") : config.size_or("intermediate_size", 0);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      into.mixer = load_latent(attention, rope, weights, prefix + "self_attn.");
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
    "deepseek_v3", "DeepSeek-V3: latent attention, grouped sigmoid routing", {read_deepseek_v3}};
const Registered<Architecture> kimi_k2{
    "kimi_k2", "Kimi-K2: DeepSeek-V3's decoder with one group", {read_deepseek_v3}};

}  // namespace
}  // namespace moesim
