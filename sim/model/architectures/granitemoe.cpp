// Granite 3.0 MoE: scaled embeddings and residuals, which change no shape.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_granite(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

const Registered<ArchitectureReader> registered{"granitemoe", "Granite 3.0 MoE", {read_granite}};

}  // namespace
}  // namespace moesim
