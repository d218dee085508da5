// Qwen2-MoE (Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B; transformers v4.57.1 modeling_qwen2_moe.py): biases
// on queries, keys and values, and a shared expert behind a sigmoid gate of its own.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/layer_types.h"
#include "workloads/forward/moe_config.h"

namespace moesim {
namespace {

// By layer, the window. v4.57.1 makes one mask for all layers, whatever max_window_layers says;
// configurations of transformers 5 list layer_types.
std::vector<std::int64_t> read_windows(ConfigReader& config, std::int64_t layers) {
  const bool used = config.flag_or("use_sliding_window", false);
  if (used && config.is_null("sliding_window"))
    config.fail("sliding_window", "is null; use_sliding_window asks for a size");
  const std::int64_t size = config.size_or("sliding_window", 4096, used ? 1 : 0);
  std::vector<bool> sliding =
      read_layer_types(config, layers, "sliding_attention", "full_attention");
  if (!used && std::find(sliding.begin(), sliding.end(), true) != sliding.end())
    config.fail("layer_types", "asks for sliding_attention, but use_sliding_window is not set");
  for (std::int64_t layer = static_cast<std::int64_t>(sliding.size()); layer < layers; ++layer)
    sliding.push_back(used);
  std::vector<std::int64_t> windows;
  windows.reserve(sliding.size());
  for (const bool slides : sliding) windows.push_back(slides ? size : 0);
  return windows;
}

DecoderLoader read_qwen2_moe(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-6);
  GroupedQueryParameters attention =
      read_grouped_query(config, frame.hidden, 1e4, {.kv_heads = 16});
  attention.qkv_bias = config.flag_or("qkv_bias", true);
  attention.output_bias = false;
  const std::vector<std::int64_t> windows = read_windows(config, frame.layers);
  MoeParameters moe;
  moe.hidden = frame.hidden;
  const std::string key = experts_key(config);
  moe.experts = config.size(key);
  moe.top_k = config.size_or("num_experts_per_tok", 4);
  moe.width = config.size("moe_intermediate_size");
  moe.shared_width = config.size("shared_expert_intermediate_size");
  moe.router = read_softmax_router(config, false);
  check_experts(config, key, moe);
  const std::vector<bool> is_moe = read_sparse_layers(config, frame.layers);
  const bool all_moe = std::find(is_moe.begin(), is_moe.end(), false) == is_moe.end();
  const std::int64_t dense_width =
      all_moe ? config.size_or("intermediate_size", 0) : config.size("intermediate_size");
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      GroupedQueryParameters own = attention;
      own.window = windows[static_cast<std::size_t>(layer)];
      into.mixer = load_grouped_query(own, rope, weights, prefix + "self_attn.");
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
