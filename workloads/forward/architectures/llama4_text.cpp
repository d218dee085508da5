// The text part of Llama 4 by itself (llama4.h).
#include "workloads/forward/llama4.h"

namespace moesim {
namespace {

DecoderLoader read_llama4_text(ConfigReader& config) {
  config.ignore("outer_model_type");  // where this text_config was taken from
  return read_llama4_decoder(config);
}

const Registered<Architecture> registered{
    "llama4_text", "Llama 4: chunked attention, experts scaled at their input", {read_llama4_text}};

}  // namespace
}  // namespace moesim
