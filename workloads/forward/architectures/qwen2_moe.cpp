// Qwen2-MoE (Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B; transformers v4.57.1 modeling_qwen2_moe.py): biases
// on queries, keys and values, and a shared expert behind a sigmoid gate of its own.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

DecoderLoader read_qwen2_moe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  GroupedQueryParameters attention = read_grouped_query(config, frame.hidden, 1e4);
  attention.qkv_bias = config.flag_or("qkv_bias", true);
  attention.output_bias = false;
  config.only("use_sliding_window", false);
  config.ignore("sliding_window");  // without use_sliding_window it has no effect
  MoeParameters moe;
  moe.hidden = frame.hidden;
  moe.experts = config.size("num_experts");
  moe.top_k = config.size("num_experts_per_tok");
  moe.width = config.size("moe_intermediate_size");
  moe.shared_width = config.size("shared_expert_intermediate_size");
  moe.router = read_softmax_router(config, false);
  check_experts(config, "num_experts", moe);
  const std::vector<bool> is_moe = read_sparse_layers(config, frame.layers);
  const bool all_moe = std::find(is_moe.begin(), is_moe.end(), false) == is_moe.end();
  const std::int64_t dense_width =
      all_moe ? config.size_or("intermediate_size", 0) : config.size("intermediate_size");
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      into.mixer = load_grouped_query(attention, rope, weights, prefix + "self_attn.");
      const std::string mlp = prefix + "mlp.";
      if (!is_moe[static_cast<std::size_t>(layer)]) {
        into.ffn =
            make_dense(load_network(weights, mlp, {}, {frame.hidden, dense_width, {}, false}));
        return;
      }
      MoeWeights loaded = load_moe(weights, mlp, {}, moe);
      loaded.shared = load_network(weights, mlp + "shared_expert.", {},
                                   {frame.hidden, moe.shared_width, {}, false});
      loaded.shared_gate = weights.matrix(mlp + "shared_expert_gate.weight", 1, frame.hidden);
      into.ffn = make_moe(moe, std::move(loaded));
    };
    Decoder decoder = load_residual_frame(frame, weights, load);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "qwen2_moe",
    "Qwen2-MoE: gated shared expert, biases on queries, keys, values",
    {read_qwen2_moe}};

}  // namespace
}  // namespace moesim
