// The decoder of Llama 4, which its configurations name by itself (llama4_text) or inside one of a
// model with a vision tower (llama4).
#pragma once

#include "workloads/forward/architecture.h"

namespace moesim {

// Reads the text model's own keys. Tensors lie under "model.", or, where a checkpoint has a vision
// tower, under "language_model.".
DecoderLoader read_llama4_decoder(ConfigReader& config);

}  // namespace moesim
