// MiMo-V2-Flash: windowed layers with head counts of their own and sinks between full ones
// (XiaomiMiMo's modeling_mimo_v2_flash.py). Values are narrower than keys. The recorded parameter
// counts leave the sinks out.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

AttentionShape head_shape(const JsonNode& config, const std::string& prefix) {
  AttentionShape shape;
  shape.heads = count_at(config, prefix + "num_attention_heads");
  shape.kv_heads = count_at(config, prefix + "num_key_value_heads");
  shape.head_dim = count_at(config, prefix + "head_dim");
  shape.v_head_dim = count_at(config, prefix + "v_head_dim");
  shape.counts_extras = false;
  refuse_if(config, prefix + "num_key_value_heads", shape.heads % shape.kv_heads != 0,
            "must divide " + prefix + "num_attention_heads");
  return shape;
}

void read_mimo(const JsonNode& config, MoeModel& model) {
  refuse_if(config, "attention_bias", flag_or(config, "attention_bias", false),
            "true is not implemented");
  refuse_if(config, "n_shared_experts", count_or(config, "n_shared_experts", 0) != 0,
            "only 0 is implemented: no shared expert in mimo_v2_flash");
  AttentionShape full = head_shape(config, ""), windowed = head_shape(config, "swa_");
  full.sinks = flag_or(config, "add_full_attention_sink_bias", false);
  windowed.sinks = flag_or(config, "add_swa_attention_sink_bias", true);
  windowed.sliding_window =
      count_at(config, config.find("sliding_window") ? "sliding_window" : "sliding_window_size");
  set_layers(config, full, model);
  const auto pattern = list_by_layer(config, "hybrid_layer_pattern", model.layers.size());
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i].as_int(0, 1) == 1) model.layers[i].attention = windowed;
  }
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  set_dense_by_list(config, "moe_layer_freq", count_at(config, "intermediate_size"), model);
  set_groups(config, model);
  model.correction_bias = true;
}

const Registered<ArchitectureReader> registered{"mimo_v2_flash", "MiMo-V2-Flash", {read_mimo}};

}  // namespace
}  // namespace moesim
