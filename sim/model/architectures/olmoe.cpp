// OLMoE: norms over all query and all key heads together.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_olmoe(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  attention.qk_norm_width = (attention.heads + attention.kv_heads) * attention.head_dim;
  set_layers(config, attention, model);
  set_experts(config, "num_experts", "intermediate_size", model);
}

const Registered<ArchitectureReader> registered{"olmoe", "OLMoE", {read_olmoe}};

}  // namespace
}  // namespace moesim
