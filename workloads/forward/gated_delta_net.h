// Gated DeltaNet (arXiv 2412.06464): linear attention whose memory of each head follows the gated
// delta rule; what most layers of Qwen3-Next and Qwen3.5 have instead of softmax attention.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/layers.h"

namespace moesim {

struct GatedDeltaParameters {
  std::int64_t hidden = 0;
  std::int64_t key_heads = 0, value_heads = 0;  // key_heads divides value_heads
  std::int64_t key_dim = 0, value_dim = 0;      // of a head
  std::int64_t kernel = 4;                      // tokens the convolution sees
  float norm_epsilon = 0;
  // Where queries, keys, values, gates and rates come from: one tensor in_proj_qkvz and one
  // in_proj_ba whose rows are sorted by key head (Qwen3-Next), or in_proj_{qkv,z,b,a} (Qwen3.5).
  bool by_key_head = false;

  std::int64_t keys() const { return key_heads * key_dim; }
  std::int64_t values() const { return value_heads * value_dim; }
};

// linear_num_key_heads, linear_num_value_heads, linear_key_head_dim, linear_value_head_dim,
// linear_conv_kernel_dim, with the defaults of the hub's classes.
GatedDeltaParameters read_gated_delta(ConfigReader& config,
                                      std::int64_t hidden,
                                      float norm_epsilon);

// For each value head h with its key head g (value_heads / key_heads neighbours share one):
//   q, k, v = silu(convolution(in_proj x)); q and k are divided by sqrt(sum of squares + 1e-6),
//   q also by sqrt(key_dim)
//   decay = exp(-exp(A_log) softplus(a + dt_bias)), rate = sigmoid(b)
//   out = out_proj(rms_norm(recurrence(q, k, v, decay, rate)) * norm.weight * silu(z))
// The request's state is the memory of each head and the convolution's last tokens; it cannot drop
// tokens, so a call that follows a failed one throws std::logic_error.
std::unique_ptr<Mixer> load_gated_delta(const GatedDeltaParameters& parameters,
                                        const Checkpoint& weights,
                                        const std::string& prefix);

}  // namespace moesim
