// Llama 4: every interleave_moe_layer_step-th layer has one routed and one shared expert, the
// others a wider dense part; three layers in four attend within chunks, the fourth has no rotary
// embedding and attends to all (transformers' modeling_llama4.py). use_qk_norm has no weights.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

bool attends_in_chunks(const JsonNode& config, std::size_t layer, std::size_t layers) {
  if (config.find("layer_types")) {
    return list_by_layer(config, "layer_types", layers)[layer].as_choice(
               {"full_attention", "chunked_attention"}, "layer type") == "chunked_attention";
  }
  // 1 = rotary embedding. An empty list stands for the default as well.
  const auto rotary = config.find("no_rope_layers");
  if (rotary && !rotary->items().empty()) {
    return list_by_layer(config, "no_rope_layers", layers)[layer].as_int(0, 1) == 1;
  }
  const auto interval = static_cast<std::size_t>(
      config.find("no_rope_layer_interval") ? count_at(config, "no_rope_layer_interval") : 4);
  return (layer + 1) % interval != 0;
}

std::vector<bool> expert_layers(const JsonNode& config, std::size_t layers) {
  std::vector<bool> experts(layers);
  if (const auto listed = config.find("moe_layers")) {
    const auto last = static_cast<std::int64_t>(layers) - 1;
    for (const JsonNode& item : listed->items()) {
      experts[static_cast<std::size_t>(item.as_int(0, last))] = true;
    }
    return experts;
  }
  const auto step = static_cast<std::size_t>(
      config.find("interleave_moe_layer_step") ? count_at(config, "interleave_moe_layer_step") : 1);
  for (std::size_t i = 0; i < layers; ++i) experts[i] = (i + 1) % step == 0;
  return experts;
}

void read_llama4(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
  const std::size_t layers = model.layers.size();
  const std::vector<bool> experts = expert_layers(config, layers);
  const std::int64_t chunk = count_or(config, "attention_chunk_size", 8192);
  for (std::size_t i = 0; i < layers; ++i) {
    if (!experts[i]) set_dense(model.layers[i], count_at(config, "intermediate_size_mlp"));
    if (chunk == 0 || !attends_in_chunks(config, i, layers)) continue;
    model.layers[i].attention.chunked = true;
    model.layers[i].attention.sliding_window = chunk;
  }
  model.shared_experts = 1;
  model.shared_width = model.expert_width;
}

const Registered<ArchitectureReader> registered{"llama4_text", "Llama 4", {read_llama4}};

}  // namespace
}  // namespace moesim
