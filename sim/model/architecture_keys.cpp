// Keys that several architectures read alike.
#include <set>

#include "sim/model/architectures.h"

namespace moesim {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 40;

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

void refuse_if(const JsonNode& config, const std::string& key, bool wrong, const std::string& why) {
  if (!wrong) return;
  if (const auto found = config.find(key)) found->fail(why);
  config.fail(key + ": " + why);
}

AttentionShape grouped_query_shape(const JsonNode& config, std::int64_t hidden) {
  AttentionShape shape;
  shape.heads = count_at(config, "num_attention_heads");
  shape.kv_heads =
      config.find("num_key_value_heads") ? count_at(config, "num_key_value_heads") : shape.heads;
  shape.head_dim = config.find("head_dim") ? count_at(config, "head_dim") : hidden / shape.heads;
  refuse_if(config, "num_key_value_heads", shape.heads % shape.kv_heads != 0,
            "must divide num_attention_heads");
  refuse_if(config, "num_attention_heads", shape.head_dim == 0, "must be at most hidden_size");
  return shape;
}

AttentionShape latent_shape(const JsonNode& config) {
  AttentionShape shape;
  shape.kind = AttentionKind::latent;
  shape.heads = shape.kv_heads = count_at(config, "num_attention_heads");
  shape.q_lora_rank = count_or(config, "q_lora_rank", 0);
  shape.kv_lora_rank = count_at(config, "kv_lora_rank");
  shape.qk_nope_head_dim = count_at(config, "qk_nope_head_dim");
  shape.qk_rope_head_dim = count_at(config, "qk_rope_head_dim");
  shape.v_head_dim = count_at(config, "v_head_dim");
  shape.head_dim = shape.qk_nope_head_dim + shape.qk_rope_head_dim;
  refuse_if(config, "attention_bias", flag_or(config, "attention_bias", false),
            "true is not implemented for latent attention");
  return shape;
}

void set_layers(const JsonNode& config, const AttentionShape& attention, MoeModel& model) {
  LayerShape layer;
  layer.attention = attention;
  const std::int64_t count = config.at("num_hidden_layers").as_int(1, 4096);
  model.layers.assign(static_cast<std::size_t>(count), layer);
}

void set_dense(LayerShape& layer, std::int64_t width) {
  layer.ffn = FfnKind::dense;
  layer.dense_width = width;
}

void set_leading_dense(const JsonNode& config, MoeModel& model) {
  const auto dense = static_cast<std::size_t>(config.at("first_k_dense_replace").as_int(0, 4096));
  for (std::size_t i = 0; i < dense && i < model.layers.size(); ++i) {
    set_dense(model.layers[i], count_at(config, "intermediate_size"));
  }
}

void set_dense_by_list(const JsonNode& config,
                       const std::string& key,
                       std::int64_t width,
                       MoeModel& model) {
  const auto moe = list_by_layer(config, key, model.layers.size());
  for (std::size_t i = 0; i < moe.size(); ++i) {
    if (moe[i].as_int(0, 1) == 0) set_dense(model.layers[i], width);
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

void set_shared_experts(const JsonNode& config, MoeModel& model) {
  const auto shared = config.find("n_shared_experts");
  model.shared_experts = shared ? shared->as_int(0, 1024) : 0;
  model.shared_width = model.shared_experts * model.expert_width;
}

void set_groups(const JsonNode& config, MoeModel& model) {
  model.groups = config.find("n_group") ? count_at(config, "n_group") : 1;
  model.top_groups = count_or(config, "topk_group", model.groups);
  refuse_if(config, "n_group", model.experts % model.groups != 0, "must divide n_routed_experts");
  refuse_if(config, "topk_group", model.top_groups > model.groups, "must be at most n_group");
}

void set_qwen_dense(const JsonNode& config, MoeModel& model) {
  std::set<std::int64_t> dense;
  if (const auto listed = config.find("mlp_only_layers")) {
    for (const JsonNode& item : listed->items()) dense.insert(item.as_int(0, kLargest));
  }
  const std::int64_t step =
      config.find("decoder_sparse_step") ? count_at(config, "decoder_sparse_step") : 1;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const auto layer = static_cast<std::int64_t>(i);
    if (dense.count(layer) == 0 && (layer + 1) % step == 0) continue;
    set_dense(model.layers[i], count_at(config, "intermediate_size"));
  }
}

std::vector<JsonNode> list_by_layer(const JsonNode& config,
                                    const std::string& key,
                                    std::size_t length) {
  const JsonNode list = config.at(key);
  std::vector<JsonNode> items = list.items();
  if (items.size() != length) {
    list.fail("must have one entry a layer, " + std::to_string(length) + ", not " +
              std::to_string(items.size()));
  }
  return items;
}

}  // namespace moesim
