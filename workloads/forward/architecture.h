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
// rms_norm_eps, tie_word_embeddings, hidden_act (silu).
struct DecoderFrame {
  std::int64_t vocabulary = 0, hidden = 0, layers = 0;
  float norm_epsilon = 0;
  bool tied = false;
};
DecoderFrame read_frame(ConfigReader& config, double default_epsilon);

// Loads model.embed_tokens, model.norm and lm_head, and for each layer its two norms and what
// `load_layer` puts in for "model.layers.<layer>.".
using LayerLoader =
    std::function<void(std::int64_t layer, const std::string& prefix, DecoderLayer& into)>;
Decoder load_frame(const DecoderFrame& frame,
                   const Checkpoint& weights,
                   const LayerLoader& load_layer);

}  // namespace moesim
