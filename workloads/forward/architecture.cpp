// The frame around the layers, common to the hub's decoders.
#include "workloads/forward/architecture.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace moesim {

DecoderFrame read_frame(ConfigReader& config, double default_epsilon) {
  DecoderFrame frame;
  frame.vocabulary = config.size("vocab_size");
  frame.hidden = config.size("hidden_size");
  frame.layers = config.size("num_hidden_layers");
  frame.norm_epsilon = config.epsilon_or("rms_norm_eps", default_epsilon);
  frame.tied = config.flag_or("tie_word_embeddings", false);
  config.only("hidden_act", "silu");
  set_layer_range(config, frame);
  return frame;
}

void set_layer_range(const ConfigReader& config, DecoderFrame& frame) {
  const LoadOptions& options = config.options();
  frame.first_layer = options.first_layer;
  frame.end_layer = options.end_layer < 0 ? frame.layers : options.end_layer;
  if (frame.first_layer < 0 || frame.first_layer >= frame.end_layer ||
      frame.end_layer > frame.layers)
    throw InputError(fmt::format("layers {}:{} were asked for; the model has layers 0:{}",
                                 frame.first_layer, frame.end_layer, frame.layers));
}

Decoder load_frame(const DecoderFrame& frame,
                   const Checkpoint& weights,
                   const LayerLoader& load_layer) {
  Decoder decoder;
  decoder.vocabulary = frame.vocabulary;
  decoder.hidden = frame.hidden;
  decoder.embedding = weights.matrix(frame.embedding, frame.vocabulary, frame.hidden);
  decoder.head =
      frame.tied ? decoder.embedding : weights.matrix(frame.head, frame.vocabulary, frame.hidden);
  decoder.final_norm =
      load_rms_norm(weights, frame.final_norm, frame.hidden, frame.norm_epsilon, frame.norm_offset);
  for (std::int64_t layer = frame.first_layer; layer < frame.end_layer; ++layer) {
    decoder.layers.push_back(load_layer(layer, fmt::format("{}{}.", frame.layer_prefix, layer)));
    decoder.layer_ids.push_back(static_cast<int>(layer));
  }
  return decoder;
}

Decoder load_residual_frame(const DecoderFrame& frame,
                            const Checkpoint& weights,
                            const PartsLoader& load_parts) {
  return load_frame(frame, weights, [&](std::int64_t layer, const std::string& prefix) {
    ResidualParts parts;
    const auto norm = [&](const char* name) {
      return load_rms_norm(weights, prefix + name, frame.hidden, frame.norm_epsilon,
                           frame.norm_offset);
    };
    parts.mixer_norm = norm("input_layernorm");
    parts.ffn_norm = norm("post_attention_layernorm");
    load_parts(layer, prefix, parts);
    return make_residual_layer(std::move(parts));
  });
}

}  // namespace moesim
