// Granite-MoE (transformers v4.57.1 modeling_granitemoe.py): multipliers on embedding, residual,
// scores and logits; experts fused in one tensor a projection.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

MoeWeights load_fused(const Checkpoint& weights,
                      const std::string& prefix,
                      const MoeParameters& moe) {
  MoeWeights loaded;
  loaded.router = weights.matrix(prefix + "router.layer.weight", moe.experts, moe.hidden);
  for (std::int64_t expert = 0; expert < moe.experts; ++expert) {
    Network network;
    network.up = weights.stacked({{.name = prefix + "input_linear.weight",
                                   .rows = 2 * moe.width,
                                   .slice = expert,
                                   .slices = moe.experts}},
                                 moe.hidden);
    network.down = weights.stacked({{.name = prefix + "output_linear.weight",
                                     .rows = moe.hidden,
                                     .slice = expert,
                                     .slices = moe.experts}},
                                   moe.width);
    loaded.experts.push_back(std::move(network));
  }
  return loaded;
}

DecoderLoader read_granitemoe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, 1e4);
  attention.scale = config.number_or("attention_multiplier", 1.0);
  const auto embedding = static_cast<float>(config.number_or("embedding_multiplier", 1.0));
  const auto residual = static_cast<float>(config.number_or("residual_multiplier", 1.0));
  const double logits = config.number_or("logits_scaling", 1.0);
  if (logits == 0) config.fail("logits_scaling", "divides the logits and must not be 0");
  MoeParameters moe;
  moe.hidden = frame.hidden;
  moe.experts = config.size("num_local_experts");
  moe.top_k = config.size_or("num_experts_per_tok", 2);
  moe.width = config.size("intermediate_size");
  moe.router = Catalog<Router>::instance().at("topk_softmax", "router");
  check_experts(config, "num_local_experts", moe);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    Decoder decoder = load_residual_frame(
        frame, weights, [&](std::int64_t, const std::string& prefix, ResidualParts& into) {
          into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
          into.ffn = make_moe(moe, load_fused(weights, prefix + "block_sparse_moe.", moe));
          into.multiplier = residual;
        });
    decoder.embedding_multiplier = embedding;
    decoder.logit_multiplier = static_cast<float>(1 / logits);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "granitemoe", "Granite-MoE: multipliers, top-k before the softmax", {read_granitemoe}};

}  // namespace
}  // namespace moesim
