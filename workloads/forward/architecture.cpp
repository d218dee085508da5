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
  frame.norm_epsilon = static_cast<float>(config.number_or("rms_norm_eps", default_epsilon));
  frame.tied = config.flag_or("tie_word_embeddings", false);
  config.only("hidden_act", "silu");
  return frame;
}

Decoder load_frame(const DecoderFrame& frame,
                   const Checkpoint& weights,
                   const LayerLoader& load_layer) {
  Decoder decoder;
  decoder.vocabulary = frame.vocabulary;
  decoder.hidden = frame.hidden;
  decoder.norm_epsilon = frame.norm_epsilon;
  decoder.embedding = weights.matrix("model.embed_tokens.weight", frame.vocabulary, frame.hidden);
  decoder.head = frame.tied ? decoder.embedding
                            : weights.matrix("lm_head.weight", frame.vocabulary, frame.hidden);
  decoder.final_norm = weights.vector("model.norm.weight", frame.hidden);
  for (std::int64_t number = 0; number < frame.layers; ++number) {
    const std::string prefix = fmt::format("model.layers.{}.", number);
    DecoderLayer& layer = decoder.layers.emplace_back();
    layer.attention_norm = weights.vector(prefix + "input_layernorm.weight", frame.hidden);
    layer.ffn_norm = weights.vector(prefix + "post_attention_layernorm.weight", frame.hidden);
    load_layer(number, prefix, layer);
  }
  return decoder;
}

}  // namespace moesim
