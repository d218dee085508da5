// MoeModel: the shapes of a Mixture-of-Experts transformer, read from a Hugging Face config.json;
// parameter counts and bytes follow from it. No weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/core/units.h"

namespace moesim {

enum class AttentionKind { grouped_query, latent };  // MHA and GQA; MLA
enum class FfnKind { dense, moe };

struct AttentionShape {
  AttentionKind kind = AttentionKind::grouped_query;
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  // MLA only (DeepSeek-V2 paper, section 2.1): q_lora_rank 0 = no query compression.
  std::int64_t q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0,
               v_head_dim = 0;
  std::int64_t sliding_window = 0;  // tokens attended to; 0 = all
  bool qkv_bias = false, output_bias = false, sinks = false;
  std::int64_t qk_norm_width = 0;  // weights of query and key norm together; 0 = none
  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

// Cached tokens that attention reads for `new_tokens` tokens after `context` others, themselves
// included: a sliding window lets the first new token see window - 1 before it.
double attended_tokens(std::int64_t sliding_window, std::int64_t context, std::int64_t new_tokens);

struct LayerShape {
  AttentionShape attention;
  FfnKind ffn = FfnKind::moe;
  std::int64_t dense_width = 0;  // intermediate size of a dense feed-forward part
};

// How a published checkpoint stores weights. dense covers the matrices of attention, shared experts
// and dense feed-forward parts; embedding, head, norms and router stay bf16 (f32 in an f32 model).
// Bytes a stored weight takes, scales included (FP8 with 128 x 128 block scales: 1 + 4 / 16384;
// MXFP4: 4.25 bits).
enum class WeightFormat { f32, bf16, fp8, mxfp4 };
double bytes_per_weight(WeightFormat format);
std::string to_text(WeightFormat format);  // "bf16", ...

struct MoeModel {
  std::string name;          // "deepseek-v3"
  std::string architecture;  // config's model_type
  std::string source;        // where the configuration was read
  std::int64_t hidden = 0, vocabulary = 0;
  bool tied_embeddings = false;
  std::vector<LayerShape> layers;
  bool norm_bias = false, head_bias = false;  // LayerNorm with bias; bias of the output head

  std::int64_t experts = 0, top_k = 0, expert_width = 0;
  std::int64_t shared_experts = 0,
               shared_width = 0;  // width of the shared expert(s) together; 0 = none
  bool shared_expert_gate = false, expert_bias = false, router_bias = false,
       correction_bias = false;
  std::int64_t groups = 1,
               top_groups = 1;  // group-limited routing: experts' groups, groups a token may reach

  WeightFormat expert_format = WeightFormat::bf16;  // as the published checkpoint stores them
  WeightFormat dense_format = WeightFormat::bf16;   // see WeightFormat

  std::vector<std::size_t> moe_layers() const;  // indices into layers
};

// Parameters by kind, in weights. total = the sum; active counts top_k routed experts a MoE layer
// instead of all.
struct ParameterCounts {
  std::int64_t embedding = 0, head = 0, attention = 0, norms = 0, router = 0, shared_experts = 0,
               dense_ffn = 0;
  std::int64_t routed_experts = 0, one_expert = 0;
  std::int64_t total = 0, active = 0, active_without_input_embedding = 0;
};
ParameterCounts count_parameters(const MoeModel& model);

// Weights of one part.
std::int64_t expert_parameters(const MoeModel& model);         // one routed expert
std::int64_t router_parameters(const MoeModel& model);         // one MoE layer, biases included
std::int64_t shared_expert_parameters(const MoeModel& model);  // one MoE layer, gate included
// One layer's attention. Tensor parallelism divides `split` by heads; `replicated` are the latent
// projections of MLA; `vectors` are norms inside attention and the output bias, replicated, stored
// in bf16.
struct AttentionParameters {
  std::int64_t split = 0, replicated = 0, vectors = 0;
};
AttentionParameters attention_parameters(const AttentionShape& shape, std::int64_t hidden);

// KV-cache bytes one token takes over all layers on one rank of a tensor-parallel group of
// `tensor_parallel`: GQA 2 x kv_heads/TP (at least one) x head_dim, MLA kv_lora_rank +
// qk_rope_head_dim (not split). Layers with a sliding window are counted in full: the window caps
// tokens, not bytes a token.
Bytes kv_bytes_per_token(const MoeModel& model,
                         std::int64_t tensor_parallel,
                         double bytes_per_element);

// `name_or_path`: a name in workloads/models, a config.json, or a folder that holds one (its name
// becomes the model's). InputError with file, line, key: unknown name (nearest), missing key,
// unsupported model_type or a value that is not implemented.
MoeModel load_model(const std::string& name_or_path);
std::vector<std::string> model_names();  // of workloads/models, sorted

}  // namespace moesim
