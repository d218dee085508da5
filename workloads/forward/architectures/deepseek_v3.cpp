// DeepSeek-V3 (arXiv 2412.19437): latent attention, dense first layers, group-limited sigmoid
// routing with a correction bias, and shared experts.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/latent_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

// Each group must have two experts to score, and the kept groups must hold top_k.
void check_groups(const ConfigReader& config, const MoeParameters& moe) {
  const RouterParameters& routing = moe.routing;
  if (moe.experts % routing.groups != 0)
    config.fail("n_group",
                fmt::format("{} does not divide the {} experts", routing.groups, moe.experts));
  const std::int64_t group_size = moe.experts / routing.groups;
  if (routing.groups > 1 && group_size < 2)
    config.fail("n_group",
                fmt::format("{} groups of {} leave one expert a group; a group is scored by two",
                            routing.groups, moe.experts));
  if (routing.kept_groups > routing.groups)
    config.fail("topk_group",
                fmt::format("{} exceeds the {} groups", routing.kept_groups, routing.groups));
  if (moe.top_k > group_size * routing.kept_groups)
    config.fail("num_experts_per_tok",
                fmt::format("{} exceeds the {} experts of {} groups", moe.top_k,
                            group_size * routing.kept_groups, routing.kept_groups));
}

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe;
  moe.hidden = hidden;
  moe.experts = config.size("n_routed_experts");
  moe.top_k = config.size("num_experts_per_tok");
  moe.width = config.size("moe_intermediate_size");
  moe.shared_width = moe.width * config.size_or("n_shared_experts", 0, 0);
  moe.router = Catalog<Router>::instance().at("sigmoid_grouped", "router");
  moe.routing.groups = config.size_or("n_group", 1);
  moe.routing.kept_groups = config.size_or("topk_group", 1);
  moe.routing.renormalise = config.flag_or("norm_topk_prob", true);
  moe.routing.scale = config.number_or("routed_scaling_factor", 1.0);
  config.only("topk_method", "noaux_tc");
  config.only("scoring_func", "sigmoid");
  config.only("moe_layer_freq", 1);
  check_experts(config, "n_routed_experts", moe);
  check_groups(config, moe);
  return moe;
}

DecoderLoader read_deepseek_v3(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  const LatentParameters attention = read_latent(config, frame.hidden);
  const MoeParameters moe = read_moe(config, frame.hidden);
  const std::int64_t dense_layers = config.size_or("first_k_dense_replace", 0, 0);
  if (dense_layers >= frame.layers)
    config.fail("first_k_dense_replace", "no layer is left with a mixture of experts");
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

}  // namespace
}  // namespace moesim
