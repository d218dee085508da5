// Multi-head and grouped-query attention (arXiv 2305.13245) with the options that the hub's
// decoders add to it.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/key_selection.h"
#include "workloads/forward/rope.h"

namespace moesim {

// none; over each head before the rotation (Qwen3); over all heads together (OLMoE); over each head
// after the rotation and without weights (Llama 4)
enum class QueryKeyNorm { none, per_head, whole, after_rotation };

struct GroupedQueryParameters {
  std::int64_t hidden = 0;
  HeadShape shape;
  QueryKeyNorm norm = QueryKeyNorm::none;
  float norm_epsilon = 0;
  float norm_offset = 0;  // added to the norms' weights: 1 where checkpoints store w - 1
  bool qkv_bias = false, output_bias = false;
  bool rotated = true;     // false: no positions in this layer (Llama 4's NoPE)
  RopeParameters rope;     // rope.dims <= key_dim: the first dims of a head are rotated
  double scale = 0;        // of the scores; 0 = 1 / sqrt(key_dim)
  double value_scale = 1;  // MiMo-V2 multiplies values
  double clip = 0;         // queries, keys and values are clamped to +- clip (DBRX, OLMo); 0 = not
  bool clip_behind_norms = false;  // the clamp comes behind the norm of queries and keys (OLMoE)
  std::int64_t window = 0;         // AttentionRules::window
  std::int64_t chunk = 0;          // AttentionRules::chunk
  bool sinks = false;              // <prefix>sinks [heads]
  bool output_gate = false;  // q_proj also makes a gate [heads][value_dim]: out *= sigmoid(gate);
                             // rows of each head: query, then gate (Qwen3-Next)
  // Multiplies the query at a position (Llama 4's temperature of NoPE layers); empty = 1.
  std::function<float(std::int64_t position)> query_scale;
};

// The keys shared by the hub's classes: num_attention_heads, num_key_value_heads, head_dim (absent:
// hidden / heads), attention_bias (on all four projections), partial_rotary_factor and the rope
// keys. `absent` is what a class takes for keys that are not there (null is not absent).
struct HeadDefaults {
  std::int64_t kv_heads = 0;  // 0 = as many as heads
  std::int64_t head_dim = 0;  // 0 = hidden / heads
  double rotated_share = 1;   // partial_rotary_factor
};
GroupedQueryParameters read_grouped_query(ConfigReader& config,
                                          std::int64_t hidden,
                                          double default_theta,
                                          const HeadDefaults& absent = {});

struct GroupedQueryWeights {
  std::shared_ptr<const Weight> qkv, output;                  // [q then k then v rows][hidden]
  Floats qkv_bias, output_bias, query_norm, key_norm, sinks;  // empty when absent
  std::shared_ptr<const KeySelector> selector;  // null: every query sees all earlier keys
};

// Tensors <prefix>{q,k,v,o}_proj.weight (.bias), {q,k}_norm.weight and sinks.
GroupedQueryWeights load_grouped_query_weights(const GroupedQueryParameters& parameters,
                                               const Checkpoint& weights,
                                               const std::string& prefix);

// Layers share `rope`, null where rotated is false.
std::unique_ptr<Mixer> make_grouped_query(const GroupedQueryParameters& parameters,
                                          std::shared_ptr<Rope> rope,
                                          GroupedQueryWeights weights);

// Both at once.
std::unique_ptr<Mixer> load_grouped_query(const GroupedQueryParameters& parameters,
                                          const std::shared_ptr<Rope>& rope,
                                          const Checkpoint& weights,
                                          const std::string& prefix);

}  // namespace moesim
