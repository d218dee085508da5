// Nemotron-H and Nemotron 3: a layer is one part alone, Mamba-2, attention, dense or experts;
// feed-forward parts are up and down without a gate; experts may work in a latent width
// (transformers' modeling_nemotron_h.py).
#include "sim/model/architectures.h"

namespace moesim {
namespace {

AttentionShape mamba_shape(const JsonNode& config) {
  AttentionShape shape;
  shape.kind = AttentionKind::mamba;
  shape.heads = count_at(config, "mamba_num_heads");
  shape.kv_heads = count_at(config, "n_groups");
  shape.head_dim = count_at(config, "ssm_state_size");
  shape.v_head_dim = count_at(config, "mamba_head_dim");
  shape.conv_kernel = count_at(config, "conv_kernel");
  shape.conv_bias = flag_or(config, "use_conv_bias", true);
  shape.scan_chunk = config.find("chunk_size") ? count_at(config, "chunk_size") : 128;
  if (const auto type = config.find("mamba_ssm_cache_dtype")) {
    const bool whole = type->as_choice({"float32", "bfloat16"}, "state type") == "float32";
    shape.state_element_bytes = whole ? 4 : 2;
  }
  for (const char* key : {"mamba_proj_bias", "use_bias"}) {
    refuse_if(config, key, flag_or(config, key, false), "true is not implemented");
  }
  refuse_if(config, "mamba_num_heads", shape.heads % shape.kv_heads != 0,
            "must be a multiple of n_groups");
  return shape;
}

// The letters M, *, E and - of hybrid_override_pattern, from it or from layers_block_type.
std::string layer_letters(const JsonNode& config) {
  if (const auto pattern = config.find("hybrid_override_pattern")) {
    std::string letters = pattern->as_string();
    const std::size_t wrong = letters.find_first_not_of("M*E-");
    if (wrong != std::string::npos) {
      pattern->fail(std::string("unknown layer '") + letters[wrong] + "' at place " +
                    std::to_string(wrong) +
                    "; known are M (Mamba-2), * (attention), E (experts), " + "- (dense)");
    }
    return letters;
  }
  std::string letters;
  for (const JsonNode& type : config.at("layers_block_type").items()) {
    const std::string name = type.as_choice({"mamba", "attention", "moe", "mlp"}, "layer type");
    letters += name == "mamba" ? 'M' : name == "attention" ? '*' : name == "moe" ? 'E' : '-';
  }
  return letters;
}

void set_letters(const JsonNode& config, const std::string& letters, MoeModel& model) {
  AttentionShape attention, none;
  none.kind = AttentionKind::none;
  const bool has_attention = letters.find('*') != std::string::npos;
  if (has_attention) attention = grouped_query_shape(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  const bool has_mamba = letters.find('M') != std::string::npos;
  const AttentionShape mamba = has_mamba ? mamba_shape(config) : none;
  model.layers.reserve(letters.size());
  for (const char letter : letters) {
    LayerShape layer;
    layer.attention = letter == '*' ? attention : letter == 'M' ? mamba : none;
    layer.ffn = letter == 'E' ? FfnKind::moe : FfnKind::none;
    if (letter == '-') set_dense(layer, count_at(config, "intermediate_size"));
    model.layers.push_back(layer);
  }
}

void read_nemotron_h(const JsonNode& config, MoeModel& model) {
  refuse_if(config, "mlp_bias", flag_or(config, "mlp_bias", false), "true is not implemented");
  model.gated = false;
  const std::string letters = layer_letters(config);
  const auto layers = static_cast<std::int64_t>(letters.size());
  refuse_if(config, "num_hidden_layers", count_or(config, "num_hidden_layers", layers) != layers,
            "must be the length of the layer pattern, " + std::to_string(layers));
  set_letters(config, letters, model);
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  model.shared_experts = count_or(config, "n_shared_experts", 1);
  refuse_if(config, "n_shared_experts", model.shared_experts > 1, "at most 1 is implemented");
  if (model.shared_experts == 1) {
    model.shared_width = count_at(config, "moe_shared_expert_intermediate_size");
  }
  model.latent_hidden = count_or(config, "moe_latent_size", 0);
  set_groups(config, model);
  model.correction_bias = true;
}

const Registered<ArchitectureReader> registered{
    "nemotron_h", "Nemotron-H, Nemotron 3", {read_nemotron_h}};

}  // namespace
}  // namespace moesim
