// GLM-4.5: grouped-query attention, leading dense layers, a correction bias.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_glm4(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = flag_or(config, "attention_bias", false);
  if (flag_or(config, "use_qk_norm", false)) attention.qk_norm_width = 2 * attention.head_dim;
  set_layers(config, attention, model);
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  set_leading_dense(config, model);
  set_shared_experts(config, model);
  set_groups(config, model);
  model.correction_bias = true;
}

const Registered<ArchitectureReader> registered{"glm4_moe", "GLM-4.5", {read_glm4}};

}  // namespace
}  // namespace moesim
