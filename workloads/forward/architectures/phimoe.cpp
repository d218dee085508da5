// Phi-3.5-MoE (arXiv 2404.14219; transformers v4.57.1 modeling_phimoe.py): LayerNorm with biases,
// biases on attention and on the head, SparseMixer routing, LongRoPE with an amplitude a list.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

GroupedQueryParameters read_attention(ConfigReader& config, const DecoderFrame& frame) {
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, 1e6, {.kv_heads = 8});
  attention.window = config.size_or("sliding_window", 0);  // of all layers
  const RopeKind kind = attention.rope.kind;
  if (kind != RopeKind::plain && kind != RopeKind::longrope)
    config.fail(config.find("rope_parameters") ? "rope_parameters" : "rope_scaling",
                "only the rope type longrope is implemented for phimoe, as in its class");
  return attention;
}

MoeParameters read_moe(ConfigReader& config, const DecoderFrame& frame) {
  MoeParameters moe;
  moe.hidden = frame.hidden;
  moe.experts = config.size_or("num_local_experts", 16);
  moe.top_k = config.size_or("num_experts_per_tok", 2);
  if (moe.top_k != 2)
    config.fail("num_experts_per_tok", "the SparseMixer is defined for 2 experts a token");
  moe.width = config.size("intermediate_size");
  moe.router = Catalog<Router>::instance().at("sparsemixer", "router");
  moe.routing.jitter = config.number_or("router_jitter_noise", 0.01);
  if (moe.routing.jitter < 0) config.fail("router_jitter_noise", "must not be below 0");
  config.ignore("input_jitter_noise");  // in training only
  check_experts(config, "num_local_experts", moe);
  return moe;
}

DecoderLoader read_phimoe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-5);
  const GroupedQueryParameters attention = read_attention(config, frame);
  const MoeParameters moe = read_moe(config, frame);
  const bool head_bias = config.flag_or("lm_head_bias", false);
  config.only("layer_norm", "layernorm");
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto norm = [&](const std::string& name) {
      return load_layer_norm(weights, name, frame.hidden, frame.norm_epsilon);
    };
    Decoder decoder = load_frame(frame, weights, [&](std::int64_t, const std::string& prefix) {
      ResidualParts parts;
      parts.mixer_norm = norm(prefix + "input_layernorm");
      parts.ffn_norm = norm(prefix + "post_attention_layernorm");
      parts.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
      parts.ffn =
          make_moe(moe, load_moe(weights, prefix + "block_sparse_moe.", {"w1", "w3", "w2"}, moe));
      return make_residual_layer(std::move(parts));
    });
    decoder.final_norm = norm(frame.final_norm);
    if (head_bias) decoder.head_bias = weights.vector("lm_head.bias", frame.vocabulary);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "phimoe", "Phi-3.5-MoE: biased LayerNorm, SparseMixer routing", {read_phimoe}};

}  // namespace
}  // namespace moesim
