// Mamba-2 (arXiv 2405.21060): a state space whose decay depends on the token, with a convolution in
// front and a gated norm behind; what Nemotron-H has in most layers instead of attention.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/layers.h"

namespace moesim {

struct Mamba2Parameters {
  std::int64_t hidden = 0;
  std::int64_t heads = 0, head_dim = 0;
  std::int64_t groups = 1;      // heads that share B and C; divides heads
  std::int64_t state_size = 0;  // of B and C
  std::int64_t kernel = 4;      // tokens the convolution sees
  bool bias = false, convolution_bias = true;
  float least_step = 0;  // dt is clamped from below
  float norm_epsilon = 0;

  std::int64_t inner() const { return heads * head_dim; }
  std::int64_t mixed() const { return inner() + 2 * groups * state_size; }  // x, B and C
};

// z, (x, B, C), dt = in_proj(input); x, B, C go through silu(convolution). Per head:
//   dt = max(softplus(dt + dt_bias), least_step), memory <- exp(-exp(A_log) dt) memory + B (dt x)^T
//   y = memory^T C + D x
// out = out_proj(norm.weight * rms_norm(y * silu(z))), the norm over each group's channels.
// Tensors <prefix>in_proj, conv1d, dt_bias, A_log, D, norm, out_proj. The request's state is the
// memory and the convolution's last tokens; it cannot drop tokens, so a call that follows a failed
// one throws std::logic_error.
std::unique_ptr<Mixer> load_mamba2(const Mamba2Parameters& parameters,
                                   const Checkpoint& weights,
                                   const std::string& prefix);

}  // namespace moesim
