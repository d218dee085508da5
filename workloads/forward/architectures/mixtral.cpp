// Mixtral (arXiv 2401.04088): grouped-query attention and a mixture of experts in every layer.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

DecoderLoader read_mixtral(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-5);
  config.only("attention_bias", false);
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, 1e6, {.kv_heads = 8});
  attention.window = config.size_or("sliding_window", 0);  // of all layers
  MoeParameters moe;
  moe.hidden = frame.hidden;
  moe.experts = config.size("num_local_experts");
  moe.top_k = config.size_or("num_experts_per_tok", 2);
  moe.width = config.size("intermediate_size");
  moe.router = Catalog<Router>::instance().at("softmax_topk_renormalised", "router");
  check_experts(config, "num_local_experts", moe);
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    Decoder decoder = load_residual_frame(
        frame, weights, [&](std::int64_t, const std::string& prefix, ResidualParts& into) {
          into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
          into.ffn = make_moe(
              moe, load_moe(weights, prefix + "block_sparse_moe.", {"w1", "w3", "w2"}, moe));
        });
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "mixtral", "Mixtral: grouped-query attention, top-k of softmax", {read_mixtral}};

}  // namespace
}  // namespace moesim
