// The text part of Qwen3.5 and Qwen3.6 mixtures by itself (qwen_hybrid.h).
#include "workloads/forward/qwen_hybrid.h"

namespace moesim {
namespace {

DecoderLoader read_qwen3_5_moe_text(ConfigReader& config) {
  config.ignore("outer_model_type");  // where this text_config was taken from
  return read_qwen3_5(config, false);
}

const Registered<Architecture> registered{"qwen3_5_moe_text",
                                          "Qwen3.5, Qwen3.6: Gated DeltaNet and gated attention",
                                          {read_qwen3_5_moe_text}};

}  // namespace
}  // namespace moesim
