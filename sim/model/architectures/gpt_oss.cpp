// gpt-oss: sinks, biases everywhere, full and windowed layers in turn.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_gpt_oss(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", true);
  attention.sinks = true;
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
  model.expert_bias = model.router_bias = true;
  const auto kinds = list_by_layer(config, "layer_types", model.layers.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].as_choice({"full_attention", "sliding_attention"}, "layer type") ==
        "sliding_attention") {
      model.layers[i].attention.sliding_window = count_at(config, "sliding_window");
    }
  }
}

const Registered<ArchitectureReader> registered{"gpt_oss", "gpt-oss", {read_gpt_oss}};

}  // namespace
}  // namespace moesim
