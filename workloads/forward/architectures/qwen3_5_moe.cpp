// Qwen3.5 and Qwen3.6 mixtures as published, with a vision tower: their text part.
#include "workloads/forward/nested_config.h"
#include "workloads/forward/qwen_hybrid.h"

namespace moesim {
namespace {

DecoderLoader read_qwen3_5_moe(ConfigReader& config) {
  ConfigReader text = text_config(config);
  DecoderLoader loader = read_qwen3_5(text, config.flag_or("tie_word_embeddings", false));
  text.refuse_unread();
  ignore_media_keys(config);
  return loader;
}

const Registered<Architecture> registered{
    "qwen3_5_moe", "Qwen3.5, Qwen3.6 with a vision tower: the text part", {read_qwen3_5_moe}};

}  // namespace
}  // namespace moesim
