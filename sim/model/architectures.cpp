// What each model_type of Hugging Face's transformers builds from its config.json.
#include "sim/model/architectures.h"

#include <set>

namespace moesim {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 40;

// Refuses a value whose effect on shapes is not implemented.
void refuse_if(const JsonNode& config, const std::string& key, bool wrong, const std::string& why) {
  if (wrong) config.at(key).fail(why);
}

AttentionShape grouped_query(const JsonNode& config, std::int64_t hidden) {
  AttentionShape shape;
  shape.heads = count_at(config, "num_attention_heads");
  shape.kv_heads = count_or(config, "num_key_value_heads", shape.heads);
  shape.head_dim = count_or(config, "head_dim", hidden / shape.heads);
  if (shape.heads % shape.kv_heads != 0) {
    config.at("num_key_value_heads").fail("must divide num_attention_heads");
  }
  return shape;
}

void set_layers(const JsonNode& config, const AttentionShape& attention, MoeModel& model) {
  LayerShape layer;
  layer.attention = attention;
  model.layers.assign(static_cast<std::size_t>(count_at(config, "num_hidden_layers")), layer);
}

void set_dense(LayerShape& layer, std::int64_t width) {
  layer.ffn = FfnKind::dense;
  layer.dense_width = width;
}

// The first `first_k_dense_replace` layers are dense.
void set_leading_dense(const JsonNode& config, MoeModel& model) {
  const auto dense = static_cast<std::size_t>(config.at("first_k_dense_replace").as_int(0, 4096));
  for (std::size_t i = 0; i < dense && i < model.layers.size(); ++i) {
    set_dense(model.layers[i], count_at(config, "intermediate_size"));
  }
}

void set_experts(const JsonNode& config,
                 const std::string& count_key,
                 const std::string& width_key,
                 MoeModel& model) {
  model.experts = count_at(config, count_key);
  model.top_k = count_at(config, "num_experts_per_tok");
  model.expert_width = count_at(config, width_key);
}

// Mixtral, PhiMoE and DBRX differ in biases and norms only.
void read_mixtral(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.sliding_window = count_or(config, "sliding_window", 0);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

void read_dbrx(const JsonNode& config, MoeModel& model) {
  set_layers(config, grouped_query(config, model.hidden), model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

void read_phimoe(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.sliding_window = count_or(config, "sliding_window", 0);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  model.norm_bias = true;
  model.head_bias = flag_or(config, "lm_head_bias", false);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

void read_granite(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
}

void read_olmoe(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  attention.qk_norm_width = (attention.heads + attention.kv_heads) * attention.head_dim;
  set_layers(config, attention, model);
  set_experts(config, "num_experts", "intermediate_size", model);
}

void read_minimax_m2(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
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

// Qwen2-MoE and Qwen3-MoE: a layer is dense when listed in mlp_only_layers or off the sparse step.
void set_qwen_layers(const JsonNode& config, const AttentionShape& attention, MoeModel& model) {
  refuse_if(config, "use_sliding_window", flag_or(config, "use_sliding_window", false),
            "true is not implemented");
  set_layers(config, attention, model);
  set_experts(config, "num_experts", "moe_intermediate_size", model);
  std::set<std::int64_t> dense;
  if (const auto listed = config.find("mlp_only_layers")) {
    for (const JsonNode& item : listed->items()) dense.insert(item.as_int(0, kLargest));
  }
  const std::int64_t step = count_or(config, "decoder_sparse_step", 1);
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const auto layer = static_cast<std::int64_t>(i);
    if (dense.count(layer) == 0 && (layer + 1) % step == 0) continue;
    set_dense(model.layers[i], count_at(config, "intermediate_size"));
  }
}

void read_qwen2(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.qkv_bias = flag_or(config, "qkv_bias", true);
  set_qwen_layers(config, attention, model);
  model.shared_width = count_at(config, "shared_expert_intermediate_size");
  model.shared_experts = 1;
  model.shared_expert_gate = true;
}

void read_qwen3(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", false);
  attention.qk_norm_width = 2 * attention.head_dim;
  set_qwen_layers(config, attention, model);
}

void set_shared_experts(const JsonNode& config, MoeModel& model) {
  model.shared_experts = config.at("n_shared_experts").as_int(0, 1024);
  model.shared_width = model.shared_experts * model.expert_width;
}

void set_groups(const JsonNode& config, MoeModel& model) {
  model.groups = count_or(config, "n_group", 1);
  model.top_groups = count_or(config, "topk_group", model.groups);
  refuse_if(config, "n_group", model.experts % model.groups != 0, "must divide n_routed_experts");
  refuse_if(config, "topk_group", model.top_groups > model.groups, "must be at most n_group");
}

void read_deepseek(const JsonNode& config, MoeModel& model) {
  AttentionShape attention;
  attention.kind = AttentionKind::latent;
  attention.heads = attention.kv_heads = count_at(config, "num_attention_heads");
  attention.q_lora_rank = count_or(config, "q_lora_rank", 0);
  attention.kv_lora_rank = count_at(config, "kv_lora_rank");
  attention.qk_nope_head_dim = count_at(config, "qk_nope_head_dim");
  attention.qk_rope_head_dim = count_at(config, "qk_rope_head_dim");
  attention.v_head_dim = count_at(config, "v_head_dim");
  attention.head_dim = attention.qk_nope_head_dim + attention.qk_rope_head_dim;
  refuse_if(config, "attention_bias", flag_or(config, "attention_bias", false),
            "true is not implemented for latent attention");
  refuse_if(config, "moe_layer_freq", count_or(config, "moe_layer_freq", 1) != 1,
            "only 1 is implemented");
  set_layers(config, attention, model);
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  set_leading_dense(config, model);
  set_shared_experts(config, model);
  set_groups(config, model);
}

void read_deepseek_v3(const JsonNode& config, MoeModel& model) {
  read_deepseek(config, model);
  model.correction_bias = true;
}

void read_glm4(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.qkv_bias = flag_or(config, "attention_bias", false);
  if (flag_or(config, "use_qk_norm", false)) attention.qk_norm_width = 2 * attention.head_dim;
  set_layers(config, attention, model);
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  set_leading_dense(config, model);
  set_shared_experts(config, model);
  set_groups(config, model);
  model.correction_bias = true;
}

void read_gpt_oss(const JsonNode& config, MoeModel& model) {
  AttentionShape attention = grouped_query(config, model.hidden);
  attention.qkv_bias = attention.output_bias = flag_or(config, "attention_bias", true);
  attention.sinks = true;
  set_layers(config, attention, model);
  set_experts(config, "num_local_experts", "intermediate_size", model);
  model.expert_bias = model.router_bias = true;
  const auto kinds = config.at("layer_types").items();
  if (kinds.size() != model.layers.size()) {
    config.at("layer_types").fail("must have num_hidden_layers entries");
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].as_choice({"full_attention", "sliding_attention"}, "layer type") ==
        "sliding_attention") {
      model.layers[i].attention.sliding_window = count_at(config, "sliding_window");
    }
  }
}

}  // namespace

std::int64_t count_at(const JsonNode& config, const std::string& key) {
  return config.at(key).as_int(1, kLargest);
}

std::int64_t count_or(const JsonNode& config, const std::string& key, std::int64_t fallback) {
  const auto found = config.find(key);
  return found ? found->as_int(0, kLargest) : fallback;
}

bool flag_or(const JsonNode& config, const std::string& key, bool fallback) {
  const auto found = config.find(key);
  return found ? found->as_bool() : fallback;
}

const std::map<std::string, ArchitectureReader>& architecture_readers() {
  static const std::map<std::string, ArchitectureReader> readers{
      {"mixtral", read_mixtral},      {"dbrx", read_dbrx},
      {"phimoe", read_phimoe},        {"granitemoe", read_granite},
      {"olmoe", read_olmoe},          {"minimax_m2", read_minimax_m2},
      {"qwen2_moe", read_qwen2},      {"qwen3_moe", read_qwen3},
      {"deepseek_v2", read_deepseek}, {"deepseek_v3", read_deepseek_v3},
      {"kimi_k2", read_deepseek_v3},  {"glm4_moe", read_glm4},
      {"gpt_oss", read_gpt_oss}};
  return readers;
}

}  // namespace moesim
