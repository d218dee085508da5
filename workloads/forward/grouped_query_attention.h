// Multi-head and grouped-query attention (arXiv 2305.13245) with rotary positions, optional biases
// and optional norms on queries and keys.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/attention.h"
#include "workloads/forward/config_reader.h"
#include "workloads/forward/rope.h"

namespace moesim {

// none; over each head (Qwen3); over all heads together (OLMoE)
enum class QueryKeyNorm { none, per_head, whole };

struct GroupedQueryParameters {
  std::int64_t hidden = 0;
  HeadShape shape;
  QueryKeyNorm norm = QueryKeyNorm::none;
  float norm_epsilon = 0;
  bool bias = false;  // on all four projections
  RopeParameters rope;
};

// The keys shared by the hub's classes: num_attention_heads, num_key_value_heads, head_dim (absent:
// hidden / heads), attention_bias and the rope keys.
GroupedQueryParameters read_grouped_query(ConfigReader& config,
                                          std::int64_t hidden,
                                          double default_theta);

// Tensors <prefix>{q,k,v,o}_proj.weight (.bias) and {q,k}_norm.weight. Layers share `rope`.
std::unique_ptr<Attention> load_grouped_query(const GroupedQueryParameters& parameters,
                                              const std::shared_ptr<Rope>& rope,
                                              const Checkpoint& weights,
                                              const std::string& prefix);

}  // namespace moesim
