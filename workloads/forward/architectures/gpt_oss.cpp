// gpt-oss (transformers v4.57.1 modeling_gpt_oss.py): sliding windows in every other layer, a sink
// a head, biases everywhere, top-k before the softmax, and a clamped gate in the experts.
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/architecture.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/layer_types.h"
#include "workloads/forward/moe.h"

namespace moesim {
namespace {

GroupedQueryParameters read_attention(ConfigReader& config, std::int64_t hidden) {
  GroupedQueryParameters attention =
      read_grouped_query(config, hidden, 150000, {.kv_heads = 8, .head_dim = 64});
  attention.qkv_bias = attention.output_bias = config.flag_or("attention_bias", true);
  attention.sinks = true;
  const auto absent = [&](const char* key) { return !config.find(key) && !config.is_null(key); };
  if (absent("rope_scaling") && absent("rope_parameters")) {  // the class's own default
    attention.rope.kind = RopeKind::yarn;
    attention.rope.yarn =
        Yarn{.factor = 32, .original_positions = 4096, .attention_factor = {}, .truncate = false};
  }
  return attention;
}

std::vector<bool> read_windowed_layers(ConfigReader& config, std::int64_t layers) {
  std::vector<bool> windowed =
      read_layer_types(config, layers, "sliding_attention", "full_attention");
  if (!windowed.empty()) return windowed;
  windowed.reserve(static_cast<std::size_t>(layers));
  for (std::int64_t layer = 0; layer < layers; ++layer) windowed.push_back(layer % 2 == 0);
  return windowed;
}

MoeParameters read_moe(ConfigReader& config, std::int64_t hidden) {
  MoeParameters moe;
  moe.hidden = hidden;
  const std::string experts_key =
      config.find("num_local_experts") ? "num_local_experts" : "num_experts";
  moe.experts = config.size(experts_key);
  moe.top_k = config.size_or("num_experts_per_tok", 4);
  moe.width = config.size("intermediate_size");
  moe.router = Catalog<Router>::instance().at("topk_softmax", "router");
  const double limit = config.number_or("swiglu_limit", 7.0);
  if (limit <= 0) config.fail("swiglu_limit", "clamps gate and up and must be above 0");
  moe.activation = {.kind = ActivationKind::clamped_gated,
                    .interleaved = true,
                    .limit = static_cast<float>(limit),
                    .alpha = static_cast<float>(config.number_or("swiglu_alpha", 1.702))};
  check_experts(config, experts_key, moe);
  return moe;
}

DecoderLoader read_gpt_oss(ConfigReader& config) {
  const DecoderFrame frame = read_frame(config, 1e-5);
  const GroupedQueryParameters attention = read_attention(config, frame.hidden);
  const std::vector<bool> windowed = read_windowed_layers(config, frame.layers);
  const std::int64_t window = config.size_or("sliding_window", 128);
  const MoeParameters moe = read_moe(config, frame.hidden);
  config.ignore("experts_per_token");       // the original's spelling of num_experts_per_tok
  config.ignore("initial_context_length");  // of rope_scaling.original_max_position_embeddings
  config.ignore("quantization_config");     // the tensors say how they are stored
  return [=](const Checkpoint& weights) {
    const auto rope = std::make_shared<Rope>(attention.rope);
    const auto load = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
      GroupedQueryParameters own = attention;
      if (windowed[static_cast<std::size_t>(layer)]) own.window = window;
      into.mixer = load_grouped_query(own, rope, weights, prefix + "self_attn.");
      const std::string mlp = prefix + "mlp.";
      MoeWeights loaded;
      loaded.router = weights.matrix(mlp + "router.weight", moe.experts, moe.hidden);
      loaded.router_bias = weights.vector(mlp + "router.bias", moe.experts);
      loaded.experts =
          load_fused_experts(weights, mlp + "experts.", {.transposed = true, .bias = true}, moe);
      into.ffn = make_moe(moe, std::move(loaded));
    };
    Decoder decoder = load_residual_frame(frame, weights, load);
    decoder.experts = moe.experts;
    decoder.top_k = moe.top_k;
    return decoder;
  };
}

const Registered<Architecture> registered{
    "gpt_oss", "gpt-oss: attention sinks, sliding windows, clamped gates", {read_gpt_oss}};

}  // namespace
}  // namespace moesim
