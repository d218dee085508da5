// Mixtral and DBRX: grouped-query attention, experts in every layer.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_mixtral(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.sliding_window = count_or(config, "sliding_window", 0);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

void read_dbrx(const JsonNode& config, MoeModel& model) {
  set_layers(config, grouped_query_shape(config, model.hidden), model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

const Registered<ArchitectureReader> mixtral{"mixtral", "Mixtral 8x7B, 8x22B", {read_mixtral}};
const Registered<ArchitectureReader> dbrx{"dbrx", "DBRX", {read_dbrx}};

}  // namespace
}  // namespace moesim
