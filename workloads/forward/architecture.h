// Contract of an architecture: how to read one model_type of config.json and build its decoder.
// Adding one: a .cpp file in architectures/ whose last line registers it under its model_type.
#pragma once

#include <functional>
#include <string>

#include "sim/core/catalog.h"
#include "workloads/forward/config_reader.h"
#include "workloads/forward/layers.h"

namespace moesim {

// Reading comes first and touches no weights, so that a configuration that asks for something not
// implemented is refused before gigabytes are read.
using DecoderLoader = std::function<Decoder(const Checkpoint& weights)>;
struct Architecture {
  DecoderLoader (*read)(ConfigReader& config);
};

// What all the hub's decoders have around their layers: vocab_size, hidden_size, num_hidden_layers,
// rms_norm_eps, tie_word_embeddings, hidden_act (silu). Layers first .. end of them are loaded
// (LoadOptions); `layers` is the number the configuration gives.
struct DecoderFrame {
  std::int64_t vocabulary = 0, hidden = 0, layers = 0;
  std::int64_t first_layer = 0, end_layer = 0;
  float norm_epsilon = 0;
  float norm_offset = 0;  // of all norms: 1 where checkpoints store w - 1
  bool tied = false;
  // The names of the hub's decoders; others set them after read_frame.
  std::string embedding = "model.embed_tokens.weight", final_norm = "model.norm",
              head = "lm_head.weight", layer_prefix = "model.layers.";
};
DecoderFrame read_frame(ConfigReader& config, double default_epsilon);

// Sets first_layer and end_layer from `layers` and the reader's options; InputError when the range
// asked for is empty or beyond the model.
void set_layer_range(const ConfigReader& config, DecoderFrame& frame);

// Loads embedding, final norm and head, and for each layer of the range what `load_layer` returns
// for "<layer_prefix><layer>.". The caller sets experts and top_k.
using LayerLoader =
    std::function<std::unique_ptr<DecoderLayer>(std::int64_t layer, const std::string& prefix)>;
Decoder load_frame(const DecoderFrame& frame,
                   const Checkpoint& weights,
                   const LayerLoader& load_layer);

// The usual pair: load_frame with residual layers whose norms are <prefix>input_layernorm and
// <prefix>post_attention_layernorm; `load_parts` fills in mixer and ffn.
using PartsLoader =
    std::function<void(std::int64_t layer, const std::string& prefix, ResidualParts& into)>;
Decoder load_residual_frame(const DecoderFrame& frame,
                            const Checkpoint& weights,
                            const PartsLoader& load_parts);

}  // namespace moesim
