// Qwen2-MoE and Qwen3-MoE: a layer is dense when listed in mlp_only_layers or off the sparse
// step.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void set_qwen_layers(const JsonNode& config, const AttentionShape& attention, MoeModel& model) {
  refuse_if(config, "use_sliding_window", flag_or(config, "use_sliding_window", false),
            "true is not implemented");
  set_layers(config, attention, model);
  set_experts(config, "num_experts", "moe_intermediate_size", model);
  set_qwen_dense(config, model);
}

void read_qwen2(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = flag_or(config, "qkv_bias", true);
  set_qwen_layers(config, attention, model);
  model.shared_width = count_at(config, "shared_expert_intermediate_size");
  model.shared_experts = 1;
  model.shared_expert_gate = true;
}

void read_qwen3(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  attention.qk_norm_width = 2 * attention.head_dim;
  set_qwen_layers(config, attention, model);
}

const Registered<ArchitectureReader> qwen2{"qwen2_moe", "Qwen1.5-MoE, Qwen2-MoE", {read_qwen2}};
const Registered<ArchitectureReader> qwen3{"qwen3_moe", "Qwen3-MoE", {read_qwen3}};

}  // namespace
}  // namespace moesim
