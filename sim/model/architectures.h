// Readers of Hugging Face config.json, one a model_type: each fills the shapes its architecture
// derives from the keys. A family is one file in sim/model/architectures, registered by model_type.
#pragma once

#include <string>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"

namespace moesim {

// A reader finds name, hidden, vocabulary, tied_embeddings and the formats already set, and fills
// layers, experts and router. Defaults of missing keys are those of the configuration classes of
// transformers v4.57.1 (of later versions for architectures newer than that). A value that changes
// shapes and is not implemented is refused by its key.
struct ArchitectureReader {
  void (*read)(const JsonNode& config, MoeModel& model) = nullptr;
};

// A whole number in 1 .. 2^40; `fallback` for a missing key where one is given.
std::int64_t count_at(const JsonNode& config, const std::string& key);
std::int64_t count_or(const JsonNode& config, const std::string& key, std::int64_t fallback);
bool flag_or(const JsonNode& config, const std::string& key, bool fallback);

// Refuses a value whose effect on shapes is not implemented; names the key also when it is missing.
void refuse_if(const JsonNode& config, const std::string& key, bool wrong, const std::string& why);

// num_attention_heads, num_key_value_heads (default: as many), head_dim (default: hidden / heads).
AttentionShape grouped_query_shape(const JsonNode& config, std::int64_t hidden);
// Latent attention as DeepSeek-V2 to V3.2 and LongCat-Flash name its keys.
AttentionShape latent_shape(const JsonNode& config);

// num_hidden_layers layers, all with this attention and experts.
void set_layers(const JsonNode& config, const AttentionShape& attention, MoeModel& model);
void set_dense(LayerShape& layer, std::int64_t width);
// The first `first_k_dense_replace` layers are dense.
void set_leading_dense(const JsonNode& config, MoeModel& model);
// A list of one 0 (dense, of this width) or 1 (experts) a layer.
void set_dense_by_list(const JsonNode& config,
                       const std::string& key,
                       std::int64_t width,
                       MoeModel& model);
void set_experts(const JsonNode& config,
                 const std::string& count_key,
                 const std::string& width_key,
                 MoeModel& model);
void set_shared_experts(const JsonNode& config, MoeModel& model);  // n_shared_experts
void set_groups(const JsonNode& config, MoeModel& model);          // n_group, topk_group

// mlp_only_layers and decoder_sparse_step of the Qwen family: which layers are dense.
void set_qwen_dense(const JsonNode& config, MoeModel& model);

// The items of a list that must have `length` entries, one a layer.
std::vector<JsonNode> list_by_layer(const JsonNode& config,
                                    const std::string& key,
                                    std::size_t length);

}  // namespace moesim
