// DeepSeek-V2 to V3.2, Kimi K2 and GLM-5: latent attention, leading dense layers, shared experts;
// from V3.2 on a lightning indexer chooses the tokens attended to (DeepSeek-V3.2 report,
// section 2.1).
#include "sim/model/architectures.h"

namespace moesim {
namespace {

void read_v2(const JsonNode& config, MoeModel& model) {
  refuse_if(config, "moe_layer_freq", count_or(config, "moe_layer_freq", 1) != 1,
            "only 1 is implemented");
  set_layers(config, latent_shape(config), model);
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  set_leading_dense(config, model);
  set_shared_experts(config, model);
  set_groups(config, model);
}

void read_v3(const JsonNode& config, MoeModel& model) {
  read_v2(config, model);
  model.correction_bias = true;
}

void read_v32(const JsonNode& config, MoeModel& model) {
  refuse_if(config, "index_topk_freq", count_or(config, "index_topk_freq", 1) != 1,
            "only 1, an indexer in every layer, is implemented");
  read_v3(config, model);
  refuse_if(config, "q_lora_rank", model.layers.front().attention.q_lora_rank == 0,
            "0 is not implemented: the indexer reads the query latent");
  for (LayerShape& layer : model.layers) {
    layer.attention.index_heads = count_at(config, "index_n_heads");
    layer.attention.index_head_dim = count_at(config, "index_head_dim");
    layer.attention.index_topk = count_at(config, "index_topk");
  }
}

const Registered<ArchitectureReader> v2{"deepseek_v2", "DeepSeek-V2", {read_v2}};
const Registered<ArchitectureReader> v3{"deepseek_v3", "DeepSeek-V3, R1", {read_v3}};
const Registered<ArchitectureReader> v32{"deepseek_v32", "DeepSeek-V3.2", {read_v32}};
const Registered<ArchitectureReader> kimi{"kimi_k2", "Kimi K2, K2.5", {read_v3}};
const Registered<ArchitectureReader> glm{"glm_moe_dsa", "GLM-5", {read_v32}};

}  // namespace
}  // namespace moesim
