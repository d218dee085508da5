// OLMoE (arXiv 2409.02060): a norm over all query and key heads together, weights not renormalised.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

DecoderLoader read_olmoe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-5);
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, 1e4);
  attention.norm = QueryKeyNorm::whole;
  attention.norm_epsilon = frame.norm_epsilon;
  if (const auto clip = config.find("clip_qkv")) {
    attention.clip = clip->as_number();
    if (attention.clip <= 0) clip->fail("clamps queries, keys and values and must be above 0");
    attention.clip_behind_norms = true;
  }
  config.only("qk_norm", "full");
  MoeParameters moe;
  moe.hidden = frame.hidden;
  const std::string key = experts_key(config);
  moe.experts = config.size(key);
  moe.top_k = config.size_or("num_experts_per_tok", 8);
  moe.width = config.size("intermediate_size");
  moe.router = read_softmax_router(config, false);
  check_experts(config, key, moe);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    Decoder decoder = load_residual_frame(
        frame, weights, [&](std::int64_t, const std::string& prefix, ResidualParts& into) {
          into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
          into.ffn = make_moe(moe, load_moe(weights, prefix + "mlp.", {}, moe));
        });
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "olmoe", "OLMoE: multi-head attention with whole-width norms", {read_olmoe}};

}  // namespace
}  // namespace moesim
