// Multi-head latent attention, MLA (arXiv 2405.04434, section 2.1): keys and values of all heads
// are made from one small latent per token. Computed unabsorbed: the cache holds full keys and
// values.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/key_selection.h"
#include "workloads/forward/rope.h"

namespace moesim {

struct LatentParameters {
  std::int64_t hidden = 0, heads = 0;
  std::int64_t query_rank = 0;  // 0 = queries are not compressed
  std::int64_t key_value_rank = 0;
  std::int64_t plain_dim = 0, rotated_dim = 0, value_dim = 0;  // of a head
  bool bias = false;
  // Under YaRN with mscale_all_dim the scores are multiplied by yarn_softmax_factor; DeepSeek-V2's
  // class does not.
  bool yarn_scales_scores = true;
  double query_scale = 1;  // of queries, and
  float latent_scale = 1;  // of the key/value latent behind its norm (LongCat)
  RopeParameters rope;
};

// num_attention_heads, q_lora_rank (null: none; absent: the classes' 1536), kv_lora_rank,
// qk_nope_head_dim, qk_rope_head_dim, v_head_dim, attention_bias, rope_interleave and the rope
// keys.
LatentParameters read_latent(ConfigReader& config, std::int64_t hidden);

// Tensors <prefix>q_proj or q_a_proj, q_a_layernorm, q_b_proj; kv_a_proj_with_mqa, kv_a_layernorm,
// kv_b_proj, o_proj. A selector (null: none) chooses the keys each query sees; it is given the
// compressed queries, so there must be some.
std::unique_ptr<Mixer> load_latent(const LatentParameters& parameters,
                                   const std::shared_ptr<Rope>& rope,
                                   const Checkpoint& weights,
                                   const std::string& prefix,
                                   std::shared_ptr<const KeySelector> selector = nullptr);

}  // namespace moesim
