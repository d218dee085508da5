// Qwen3-MoE (arXiv 2505.09388): grouped-query attention with a norm on every head; some layers may
// be dense.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/layer_types.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

// All layers or none: the class makes one mask (create_sliding_window_causal_mask) whatever
// max_window_layers says, and reads no layer_types.
std::int64_t read_window(ConfigReader& config, const DecoderFrame& frame) {
  const bool used = config.flag_or("use_sliding_window", false);
  const bool none = config.is_null("sliding_window");
  const std::int64_t size = config.size_or("sliding_window", 4096);
  const std::int64_t window = used && !none ? size : 0;
  for (const bool sliding :
       read_layer_types(config, frame.layers, "sliding_attention", "full_attention"))
    if (sliding != (window > 0))
      config.fail("layer_types", "layers of both kinds are not implemented for qwen3_moe");
  return window;
}

DecoderLoader read_qwen3_moe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, 1e4, {.kv_heads = 4});
  attention.norm = QueryKeyNorm::per_head;
  attention.norm_epsilon = frame.norm_epsilon;
  attention.window = read_window(config, frame);
  config.only("use_qk_norm", true);
  config.only("qkv_bias", false);
  config.only("shared_expert_intermediate_size", 0);
  MoeParameters moe;
  moe.hidden = frame.hidden;
  const std::string key = experts_key(config);
  moe.experts = config.size(key);
  moe.top_k = config.size_or("num_experts_per_tok", 8);
  moe.width = config.size("moe_intermediate_size");
  moe.router = read_softmax_router(config, false);
  check_experts(config, key, moe);
  const std::vector<bool> is_moe = read_sparse_layers(config, frame.layers);
  const bool all_moe = std::find(is_moe.begin(), is_moe.end(), false) == is_moe.end();
  const std::int64_t dense_width =
      all_moe ? config.size_or("intermediate_size", 0) : config.size("intermediate_size");
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
      if (is_moe[static_cast<std::size_t>(layer)])
        into.ffn = make_moe(moe, load_moe(weights, prefix + "mlp.", {}, moe));
      else
        into.ffn = make_dense(
            load_network(weights, prefix + "mlp.", {}, {frame.hidden, dense_width, {}, false}));
    };
    Decoder decoder = load_residual_frame(frame, weights, load);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "qwen3_moe", "Qwen3-MoE: grouped-query attention with head norms", {read_qwen3_moe}};

}  // namespace
}  // namespace moesim
