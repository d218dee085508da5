// MoeModel: the shapes of a Mixture-of-Experts model, read from a Hugging Face config.json;
// parameter counts, cache and state bytes follow from it. No weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/units.h"

namespace moesim {

// What a layer mixes its tokens with:
//   none          nothing: the layer is a feed-forward part alone (Nemotron-H)
//   grouped_query MHA and GQA
//   latent        MLA
//   compressed    DeepSeek-V4: one key-value head, a window of single tokens and, beyond it, one
//                 entry for every compress_ratio tokens
//   linear        gated delta rule (Qwen3-Next)
//   mamba         Mamba-2
enum class AttentionKind { none, grouped_query, latent, compressed, linear, mamba };
enum class FfnKind { none, dense, moe };

struct AttentionShape {
  AttentionKind kind = AttentionKind::grouped_query;
  // linear, mamba: heads carry a state of head_dim (key or state size) x v_head_dim (value or head
  // size) each; kv_heads are the key heads or the groups that share B and C.
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  // latent only (DeepSeek-V2 paper, section 2.1): q_lora_rank 0 = no query compression (compressed
  // has one too).
  std::int64_t q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0,
               v_head_dim = 0;      // grouped_query: 0 = head_dim
  std::int64_t sliding_window = 0;  // tokens attended to; 0 = all
  bool chunked = false;  // attends within its own stretch of sliding_window tokens only (Llama 4)
  bool qkv_bias = false, output_bias = false, sinks = false;
  bool output_gate = false;        // the query projection also makes a gate for the output
  std::int64_t qk_norm_width = 0;  // weights of query and key norm together; 0 = none

  // Sparse attention: index_heads small heads score every cached token (or compressed entry), the
  // index_topk best are attended to. 0 heads = attention to all.
  std::int64_t index_heads = 0, index_head_dim = 0, index_topk = 0;

  std::int64_t compress_ratio = 0;                       // compressed: 0 = the window only, 4, 128
  std::int64_t output_groups = 0, output_lora_rank = 0;  // compressed: grouped output projection

  std::int64_t conv_kernel = 0, scan_chunk = 0;  // linear, mamba: causal convolution; prefill scan
  bool conv_bias = false;
  std::int64_t state_element_bytes = 4;  // of linear's and mamba's state

  std::int64_t relative_buckets = 0;  // T5 relative bias held by this layer: buckets x heads values
  bool encoder = false;               // attends both ways and caches nothing
  bool cross = false;                 // a second attention, to the encoder's output
  // false: published counts leave sinks, query and key norms and index heads out, and so do ours
  // (AttentionParameters::uncounted).
  bool counts_extras = true;

  std::int64_t value_dim() const { return v_head_dim != 0 ? v_head_dim : head_dim; }
  bool recurrent() const { return kind == AttentionKind::linear || kind == AttentionKind::mamba; }
  std::int64_t recurrent_key_width() const { return kv_heads * head_dim; }   // k (or q, B, C)
  std::int64_t recurrent_value_width() const { return heads * v_head_dim; }  // v (or x, z)
  std::int64_t conv_channels() const { return 2 * recurrent_key_width() + recurrent_value_width(); }
  // compressed: an entry of ratio 4 overlaps with the one before it and is made twice as wide.
  std::int64_t compressor_width(std::int64_t dim) const {
    return (compress_ratio == 4 ? 2 : 1) * dim;
  }
  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

// Cached tokens that attention reads for `new_tokens` tokens after `context` others, themselves
// included: a sliding window lets the first new token see window - 1 before it.
double attended_tokens(std::int64_t sliding_window, std::int64_t context, std::int64_t new_tokens);
// The same within chunks: from the start of the first new token's chunk.
double attended_tokens(const AttentionShape& shape, std::int64_t context, std::int64_t new_tokens);

// The heads, key-value heads and output groups one rank of a tensor-parallel group of `ranks` has:
// shares rounded up, at least one.
AttentionShape tensor_share(AttentionShape shape, std::int64_t ranks);

struct LayerShape {
  AttentionShape attention;
  FfnKind ffn = FfnKind::moe;
  // Intermediate size of a dense feed-forward part; in an MoE layer one beside the experts
  // (LongCat-Flash).
  std::int64_t dense_width = 0;
};

// How a published checkpoint stores weights. dense covers the matrices of attention, shared experts
// and dense feed-forward parts; embedding, head, norms and router stay bf16 (f32 in an f32 model).
// Bytes a stored weight takes, scales and zero points included: docs/models.md, "Weight formats".
// int4 has groups of 32 weights, the others of 64 or 128; _zero: with zero points, as AWQ and GPTQ
// store them. ternary: BitNet's 1.58-bit weights, four a byte; tq1_0 and iq1_s: llama.cpp's.
enum class WeightFormat {
  f32,
  bf16,
  fp8,
  mxfp8,
  mxfp4,
  nvfp4,
  int4,
  int4_g64,
  int4_g128,
  int4_g128_zero,
  ternary,
  tq1_0,
  iq1_s
};
double bytes_per_weight(WeightFormat format);
std::string to_text(WeightFormat format);                   // "bf16", ...
const std::vector<std::string>& weight_format_names();      // in the order above
WeightFormat weight_format_named(const std::string& name);  // one of weight_format_names()

struct MoeModel {
  std::string name;          // "deepseek-v3"
  std::string architecture;  // config's model_type
  std::string source;        // where the configuration was read
  std::int64_t hidden = 0, vocabulary = 0;
  bool tied_embeddings = false;
  std::vector<LayerShape> layers;
  bool norm_bias = false, head_bias = false;  // LayerNorm with bias; bias of the output head
  std::int64_t encoder_layers = 0;            // the first so many of layers; 0 = decoder only
  std::int64_t residual_streams = 1;          // hyper-connections mix so many copies of the stream

  std::int64_t experts = 0, top_k = 0, expert_width = 0;
  std::int64_t zero_experts = 0;   // routed to like experts, return their input, hold no weights
  std::int64_t latent_hidden = 0;  // experts work on tokens projected to this width; 0 = hidden
  bool gated = true;               // feed-forward parts: gate, up, down; false: up, down
  std::int64_t shared_experts = 0,
               shared_width = 0;  // width of the shared expert(s) together; 0 = none
  bool shared_expert_gate = false, expert_bias = false, router_bias = false,
       correction_bias = false;
  std::int64_t groups = 1,
               top_groups = 1;  // group-limited routing: experts' groups, groups a token may reach

  WeightFormat expert_format = WeightFormat::bf16;  // as the published checkpoint stores them
  WeightFormat dense_format = WeightFormat::bf16;   // see WeightFormat
  std::optional<WeightFormat> attention_format;     // where it is not the dense parts'

  // Layers of one multi-token prediction module; empty = the checkpoint has none, or its
  // configuration does not say so. No parameter count includes them.
  std::vector<LayerShape> mtp_layers;

  std::vector<std::size_t> moe_layers() const;  // indices into layers
  // Width of a row that dispatch carries and an expert reads.
  std::int64_t expert_hidden() const { return latent_hidden != 0 ? latent_hidden : hidden; }
  std::int64_t matrices() const { return gated ? 3 : 2; }  // of one feed-forward part
};

// Parameters by kind, in weights. total = the sum; active counts, of a MoE layer's routed experts,
// top_k instead of all, times experts / (experts + zero_experts): the mean when a token's choices
// fall on zero experts as often as on others.
struct ParameterCounts {
  std::int64_t embedding = 0, head = 0, attention = 0, norms = 0, router = 0, shared_experts = 0,
               dense_ffn = 0, hyper_connections = 0;
  std::int64_t routed_experts = 0, one_expert = 0;
  std::int64_t total = 0, active = 0, active_without_input_embedding = 0;
};
ParameterCounts count_parameters(const MoeModel& model);

// Weights of one part.
std::int64_t expert_parameters(const MoeModel& model);       // one routed expert
std::int64_t expert_bias_parameters(const MoeModel& model);  // of those, biases
std::int64_t router_parameters(const MoeModel& model);       // one MoE layer, biases included
// One MoE layer: what every token passes beside the routed experts: shared experts with their gate,
// projections into and out of a latent width.
std::int64_t shared_expert_parameters(const MoeModel& model);
std::int64_t dense_parameters(const MoeModel& model, const LayerShape& layer);
std::int64_t norm_parameters(const MoeModel& model, const LayerShape& layer);  // before each part
std::int64_t final_norm_parameters(const MoeModel& model);
// Hyper-connections of one layer, before each of its parts, and those before the head.
std::int64_t hyper_connection_parameters(const MoeModel& model, const LayerShape& layer);
std::int64_t final_hyper_connection_parameters(const MoeModel& model);
// One layer's attention. Tensor parallelism divides `split` by heads; `replicated` are the latent
// projections of MLA and index heads; `vectors` are replicated and stored in bf16: norms inside
// attention, the output bias, convolutions, compressors. `uncounted` are vectors too, but not in
// published totals.
struct AttentionParameters {
  std::int64_t split = 0, replicated = 0, vectors = 0, uncounted = 0;
};
AttentionParameters attention_parameters(const AttentionShape& shape, std::int64_t hidden);

// Cache elements one more token takes in one layer: GQA kv_heads/TP (at least one) x (head_dim +
// value_dim), MLA kv_lora_rank + qk_rope_head_dim (not split), compressed head_dim / compress_ratio
// (its window is a state); index keys index_head_dim a token or compressed entry, not split.
// Encoders, linear and mamba: none. Cross attention: an encoder's token takes keys and values of
// the cross attentions, a decoder's those of its own attention, so either counts once.
double cache_elements_per_token(const AttentionShape& shape, std::int64_t tensor_parallel);

// Bytes of those elements. A cache of fp8 is one byte each; where index heads choose tokens (DSA)
// it is FlashMLA's: the latent in fp8 with an f32 scale for 128 values, the rotary part in bf16,
// and index keys in fp8 with one f32 scale.
double cache_bytes_per_token(const AttentionShape& shape,
                             std::int64_t tensor_parallel,
                             WeightFormat format);

// KV-cache bytes one token takes over all layers on one rank of a tensor-parallel group. Layers
// with a sliding window are counted in full: the window caps tokens, not bytes a token.
Bytes kv_bytes_per_token(const MoeModel& model,
                         std::int64_t tensor_parallel,
                         double bytes_per_element);

// Bytes a request takes whatever its length, on one rank: states and convolutions of linear and
// mamba layers, window and unfinished entries of compressed ones.
Bytes state_bytes(const AttentionShape& shape,
                  std::int64_t tensor_parallel,
                  double bytes_per_element);
Bytes state_bytes_per_request(const MoeModel& model,
                              std::int64_t tensor_parallel,
                              double bytes_per_element);

// `name_or_path`: a name in workloads/models, a config.json, or a folder that holds one (its name
// becomes the model's). A configuration of a multimodal model is read at its text_config.
// InputError with file, line, key: unknown name (nearest), missing key, unsupported model_type or a
// value that is not implemented.
MoeModel load_model(const std::string& name_or_path);
std::vector<std::string> model_names();  // of workloads/models, sorted

}  // namespace moesim
