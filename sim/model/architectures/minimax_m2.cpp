// MiniMax-M2: norms over all query and all key heads together, a correction bias.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_minimax_m2(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  if (flag_or(config, "use_qk_norm", true)) {
    attention.qk_norm_width = (attention.heads + attention.kv_heads) * attention.head_dim;
  }
  refuse_if(config, "shared_intermediate_size",
            count_or(config, "shared_intermediate_size", 0) != 0,
            "only 0 is implemented: no shared expert in minimax_m2");
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
  model.correction_bias = flag_or(config, "use_routing_bias", true);
}

const Registered<ArchitectureReader> registered{"minimax_m2", "MiniMax-M2", {read_minimax_m2}};

}  // namespace
}  // namespace moesim
