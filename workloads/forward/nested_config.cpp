// text_config, and names one level deeper.
#include "workloads/forward/nested_config.h"

namespace moesim {

ConfigReader text_config(ConfigReader& config) {
  const auto node = config.find("text_config");
  if (!node)
    throw InputError(
        "config.json: text_config is missing; a model of this model_type keeps its decoder's "
        "configuration there");
  return ConfigReader(*node, config.options());
}

void ignore_media_keys(ConfigReader& config) {
  for (const char* key :
       {"vision_config", "audio_config", "image_token_id", "image_token_index", "video_token_id",
        "vision_start_token_id", "vision_end_token_id", "boi_token_index", "eoi_token_index",
        "boi_token_id", "eoi_token_id", "language_model_only", "quantization_config"})
    config.ignore(key);
}

void nest_names(DecoderFrame& frame, const std::string& base) {
  frame.embedding = base + "embed_tokens.weight";
  frame.final_norm = base + "norm";
  frame.layer_prefix = base + "layers.";
}

}  // namespace moesim
