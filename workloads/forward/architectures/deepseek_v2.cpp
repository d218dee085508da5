// DeepSeek-V2 (arXiv 2405.04434; transformers v4.57.1 modeling_deepseek_v2.py): latent attention
// and softmax routing, limited to groups or not. The class leaves out the factor on the scores that
// the authors' own code has under YaRN; what runs here is the class.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/latent_attention.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe = read_deepseek_moe(config, hidden, {.shared = 2, .renormalise = false});
  moe.router = Catalog<Router>::instance().at("softmax_grouped_max", "router");
  config.ignore("norm_topk_prob");  // the class stores it and never divides
  config.only("mlp_bias", false);
  moe.routing.renormalise = false;
  const auto method = config.find("topk_method");
  const std::string chosen =
      method ? method->as_choice({"greedy", "group_limited_greedy"}, "topk_method") : "greedy";
  if (chosen == "greedy") {
    config.ignore("n_group");
    config.ignore("topk_group");
  } else {
    read_groups(config, 1, moe);
  }
  config.only("scoring_func", "softmax");
  config.only("moe_layer_freq", 1);
  return moe;
}

DecoderLoader read_deepseek_v2(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  LatentParameters attention = read_latent(config, frame.hidden);
  attention.yarn_scales_scores = false;
  config.only("rope_interleave", true);  // neighbours always, whatever a key says
  const MoeParameters moe = read_moe(config, frame.hidden);
  const std::int64_t dense_layers = read_leading_dense(config, frame.layers);
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
    "deepseek_v2",
    "DeepSeek-V2: latent attention, group-limited softmax routing",
    {read_deepseek_v2}};

}  // namespace
}  // namespace moesim
