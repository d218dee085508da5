// Llama 4 as published, with a vision tower: its text part.
#include "workloads/forward/llama4.h"

#include "workloads/forward/nested_config.h"

namespace moesim {
namespace {

DecoderLoader read_llama4(ConfigReader& config) {
  ConfigReader text = text_config(config);
  DecoderLoader loader = read_llama4_decoder(text);
  text.refuse_unread();
  config.ignore("tie_word_embeddings");  // text_config has its own
  ignore_media_keys(config);
  return loader;
}

const Registered<Architecture> registered{
    "llama4", "Llama 4 with a vision tower: the text part", {read_llama4}};

}  // namespace
}  // namespace moesim
