// Phi-3.5-MoE: biases in attention, norms and head.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_phimoe(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.sliding_window = count_or(config, "sliding_window", 0);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  model.norm_bias = true;
  model.head_bias = flag_or(config, "lm_head_bias", false);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

const Registered<ArchitectureReader> registered{"phimoe", "Phi-3.5-MoE", {read_phimoe}};

}  // namespace
}  // namespace moesim
