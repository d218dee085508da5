// The text part of Llama 4 (transformers v4.57.1 modeling_llama4.py): chunked attention with
// rotated, normed heads, every few layers full attention without positions and with a temperature
// that grows with the position; top-1 experts whose score multiplies their input, and one shared.
#include "workloads/forward/llama4.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/layer_types.h"
#include "workloads/forward/moe.h"
#include "workloads/forward/nested_config.h"

namespace moesim {
namespace {

struct Llama4 {
  DecoderFrame frame;
  std::vector<bool> rotated, chunked, is_moe;  // [layers]
  GroupedQueryParameters attention;
  bool head_norm = true;  // of rotated layers
  std::int64_t chunk = 0;
  double temperature_step = 0, temperature = 0;  // floor_scale, attn_scale; 0 = not tuned
  MoeParameters moe;
  std::int64_t dense_width = 0;
};

// no_rope_layers says where positions are (1), against its name; an empty list counts as absent.
std::vector<bool> read_rotated_layers(ConfigReader& config, std::int64_t layers) {
  const std::int64_t interval = config.size_or("no_rope_layer_interval", 4);
  const auto list = config.find("no_rope_layers");
  if (list && !list->items().empty()) return read_layer_flags(config, "no_rope_layers", layers);
  std::vector<bool> rotated;
  rotated.reserve(static_cast<std::size_t>(layers));
  for (std::int64_t layer = 0; layer < layers; ++layer)
    rotated.push_back((layer + 1) % interval != 0);
  return rotated;
}

std::vector<bool> read_moe_layers(ConfigReader& config, std::int64_t layers) {
  const std::int64_t step = config.size_or("interleave_moe_layer_step", 1);
  const auto list = config.find("moe_layers");
  std::vector<bool> is_moe(static_cast<std::size_t>(layers), false);
  if (list)
    for (const JsonNode& layer : list->items())
      is_moe[static_cast<std::size_t>(layer.as_int(0, layers - 1))] = true;
  else
    for (std::int64_t layer = step - 1; layer < layers; layer += step)
      is_moe[static_cast<std::size_t>(layer)] = true;
  if (std::find(is_moe.begin(), is_moe.end(), true) == is_moe.end())
    config.fail(list ? "moe_layers" : "interleave_moe_layer_step",
                "no layer is left with a mixture of experts");
  return is_moe;
}

void read_attention(ConfigReader& config, Llama4& model) {
  model.attention =
      read_grouped_query(config, model.frame.hidden, 500000, {.kv_heads = 8, .head_dim = 128});
  model.attention.rope.interleaved = true;
  model.attention.norm_epsilon = model.frame.norm_epsilon;
  model.head_norm = config.flag_or("use_qk_norm", true);
  model.rotated = read_rotated_layers(config, model.frame.layers);
  model.chunked =
      read_layer_types(config, model.frame.layers, "chunked_attention", "full_attention");
  if (model.chunked.empty()) model.chunked = model.rotated;
  if (config.is_null("attention_chunk_size") &&
      std::find(model.chunked.begin(), model.chunked.end(), true) != model.chunked.end())
    config.fail("attention_chunk_size", "must be given: there are layers of chunked attention");
  model.chunk = config.size_or("attention_chunk_size", 8192);
  // Early configurations have a number here; any but 0 turns it on.
  const auto tuned = config.find("attn_temperature_tuning");
  const bool on = !tuned || (tuned->is_number() ? tuned->as_number() != 0 : tuned->as_bool());
  const double floor_scale = config.number_or("floor_scale", 8192);
  if (floor_scale <= 0) config.fail("floor_scale", "counts positions and must be above 0");
  const double scale = config.number_or("attn_scale", 0.1);
  if (on && !config.is_null("attn_temperature_tuning")) {
    model.temperature_step = floor_scale;
    model.temperature = scale;
  }
}

Llama4 read_text(ConfigReader& config) {
  Llama4 model;
  model.frame = read_frame(config, 1e-5);
  read_attention(config, model);
  model.is_moe = read_moe_layers(config, model.frame.layers);
  model.dense_width = config.size_or("intermediate_size_mlp", 16384);
  MoeParameters& moe = model.moe;
  moe.hidden = model.frame.hidden;
  moe.experts = config.size("num_local_experts");
  moe.top_k = config.size_or("num_experts_per_tok", 1);
  moe.width = moe.shared_width = config.size("intermediate_size");
  moe.router = Catalog<Router>::instance().at("llama4_sigmoid_input", "router");
  check_experts(config, "num_local_experts", moe);
  config.ignore("for_llm_compressor");   // how experts are stored while being quantized
  config.ignore("quantization_config");  // the tensors say how they are stored
  return model;
}

GroupedQueryParameters attention_of(const Llama4& model, std::size_t layer) {
  GroupedQueryParameters attention = model.attention;
  attention.rotated = model.rotated[layer];
  if (model.chunked[layer]) attention.chunk = model.chunk;
  if (attention.rotated && model.head_norm) attention.norm = QueryKeyNorm::after_rotation;
  if (!attention.rotated && model.temperature_step > 0)
    attention.query_scale = [step = model.temperature_step,
                             scale = model.temperature](std::int64_t position) {
      const double steps = std::floor((static_cast<double>(position) + 1) / step);
      return static_cast<float>(std::log1p(steps) * scale + 1);
    };
  return attention;
}

// Experts lie fused and transposed, as the class holds them, or one by one (quantized checkpoints).
std::unique_ptr<FeedForward> load_mixture(const MoeParameters& moe,
                                          const Checkpoint& weights,
                                          const std::string& prefix) {
  MoeWeights loaded;
  loaded.router = weights.matrix(prefix + "router.weight", moe.experts, moe.hidden);
  if (weights.has(prefix + "experts.gate_up_proj") ||
      !weights.has(prefix + "experts.0.gate_proj.weight")) {
    loaded.experts = load_fused_experts(weights, prefix + "experts.", {.transposed = true}, moe);
  } else {
    loaded.experts.reserve(static_cast<std::size_t>(moe.experts));
    for (std::int64_t expert = 0; expert < moe.experts; ++expert)
      loaded.experts.push_back(load_network(weights, fmt::format("{}experts.{}.", prefix, expert),
                                            {}, {moe.hidden, moe.width, {}, false}));
  }
  loaded.shared = load_network(weights, prefix + "shared_expert.", {},
                               {moe.hidden, moe.shared_width, {}, false});
  return make_moe(moe, std::move(loaded));
}

Decoder load(const Llama4& model, const DecoderFrame& frame, const Checkpoint& weights) {
  const auto rope = std::make_shared<Rope>(model.attention.rope);
  const auto load_parts = [&](std::int64_t layer, const std::string& prefix, ResidualParts& into) {
    const auto number = static_cast<std::size_t>(layer);
    const GroupedQueryParameters attention = attention_of(model, number);
    into.mixer = load_grouped_query(attention, attention.rotated ? rope : nullptr, weights,
                                    prefix + "self_attn.");
    const std::string ffn = prefix + "feed_forward.";
    if (model.is_moe[number])
      into.ffn = load_mixture(model.moe, weights, ffn);
    else
      into.ffn =
          make_dense(load_network(weights, ffn, {}, {frame.hidden, model.dense_width, {}, false}));
  };
  Decoder decoder = load_residual_frame(frame, weights, load_parts);
  decoder.experts = model.moe.experts;
  decoder.top_k = model.moe.top_k;
  return decoder;
}

}  // namespace

DecoderLoader read_llama4_decoder(ConfigReader& config) {
  return [model = read_text(config)](const Checkpoint& weights) {
    DecoderFrame frame = model.frame;
    if (weights.has("language_model.model.embed_tokens.weight")) {
      nest_names(frame, "language_model.model.");
      frame.head = "language_model.lm_head.weight";
    }
    return load(model, frame, weights);
  };
}

}  // namespace moesim
