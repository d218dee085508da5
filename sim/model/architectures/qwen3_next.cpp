// Qwen3-Next and Qwen3.5-MoE: three layers of gated delta rule to one of gated full attention
// (Gated Delta Networks, arXiv 2412.06464; transformers' modeling_qwen3_next.py).
#include "sim/model/architectures.h"

namespace moesim {
namespace {

AttentionShape delta_shape(const JsonNode& config) {
  AttentionShape shape;
  shape.kind = AttentionKind::linear;
  shape.heads = count_at(config, "linear_num_value_heads");
  shape.kv_heads = count_at(config, "linear_num_key_heads");
  shape.head_dim = count_at(config, "linear_key_head_dim");
  shape.v_head_dim = count_at(config, "linear_value_head_dim");
  shape.conv_kernel = count_at(config, "linear_conv_kernel_dim");
  shape.scan_chunk = 64;  // of flash-linear-attention's chunk_gated_delta_rule
  if (const auto type = config.find("mamba_ssm_dtype")) {
    const bool whole = type->as_choice({"float32", "bfloat16"}, "state type") == "float32";
    shape.state_element_bytes = whole ? 4 : 2;
  }
  refuse_if(config, "linear_num_value_heads", shape.heads % shape.kv_heads != 0,
            "must be a multiple of linear_num_key_heads");
  return shape;
}

std::vector<bool> full_layers(const JsonNode& config, std::size_t layers) {
  std::vector<bool> full(layers);
  if (config.find("layer_types")) {
    const auto kinds = list_by_layer(config, "layer_types", layers);
    for (std::size_t i = 0; i < layers; ++i) {
      full[i] = kinds[i].as_choice({"full_attention", "linear_attention"}, "layer type") ==
                "full_attention";
    }
    return full;
  }
  const auto interval = static_cast<std::size_t>(
      config.find("full_attention_interval") ? count_at(config, "full_attention_interval") : 4);
  for (std::size_t i = 0; i < layers; ++i) full[i] = (i + 1) % interval == 0;
  return full;
}

void read_qwen3_next(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  attention.output_gate = flag_or(config, "attn_output_gate", true);
  attention.qk_norm_width = 2 * attention.head_dim;
  set_layers(config, attention, model);
  const AttentionShape delta = delta_shape(config);
  const std::vector<bool> full = full_layers(config, model.layers.size());
  for (std::size_t i = 0; i < full.size(); ++i) {
    if (!full[i]) model.layers[i].attention = delta;
  }
  set_experts(config, "num_experts", "moe_intermediate_size", model);
  set_qwen_dense(config, model);
  model.shared_width = count_at(config, "shared_expert_intermediate_size");
  model.shared_experts = 1;
  model.shared_expert_gate = true;
}

const Registered<ArchitectureReader> next{"qwen3_next", "Qwen3-Next", {read_qwen3_next}};
const Registered<ArchitectureReader> text{
    "qwen3_5_moe_text", "Qwen3.5-MoE, Qwen3.6-MoE", {read_qwen3_next}};

}  // namespace
}  // namespace moesim
