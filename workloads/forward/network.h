// One feed-forward network, be it a dense part, a shared expert or a routed expert: up, an
// activation, down. Gated ones (SwiGLU, arXiv 2002.05202) have gate and up in one product.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/layers.h"

namespace moesim {

// What happens between the two products.
//   silu_gated     silu(gate) * up                                 most models
//   gelu_gated     gelu_tanh(gate) * up
//   clamped_gated  gate <= limit, |up| <= limit, (up + 1) * gate * sigmoid(1.702 gate)    gpt-oss
//   relu, relu_squared, gelu, gelu_tanh, silu     not gated: Switch, Nemotron-H
// silu_gated clamps first where limit > 0: gate <= limit, |up| <= limit (DeepSeek-V4).
enum class ActivationKind {
  silu_gated,
  gelu_gated,
  clamped_gated,
  relu,
  relu_squared,
  gelu,
  gelu_tanh,
  silu
};
struct Activation {
  ActivationKind kind = ActivationKind::silu_gated;
  bool interleaved = false;  // rows of `up` alternate gate, up, instead of gate first
  float limit = 0;           // 0 = no clamp
  float alpha = 1.702F;      // of clamped_gated's sigmoid
  bool gated() const { return kind <= ActivationKind::clamped_gated; }
};

struct Network {
  std::shared_ptr<const Weight> up;    // [2 width or width][hidden]
  std::shared_ptr<const Weight> down;  // [hidden][width]; null: there is no such network
  Floats up_bias, down_bias;           // [up.rows], [hidden] or empty
  Activation activation;
};

// What a checkpoint calls the matrices; gate is left out where the activation is not gated.
struct NetworkNames {
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
};
// <prefix><name>.weight, and .bias where `bias`.
struct NetworkShape {
  std::int64_t hidden = 0, width = 0;
  Activation activation;
  bool bias = false;
};
Network load_network(const Checkpoint& weights,
                     const std::string& prefix,
                     const NetworkNames& names,
                     const NetworkShape& shape);

// Over the pool; x and out [tokens][hidden].
void run_network(ThreadPool& pool, const Network& network, const ConstMatrix& x, const Matrix& out);

// One thread; x must not lie in scratch.weight or scratch.inner.
void run_network_here(const Network& network,
                      const ConstMatrix& x,
                      const Matrix& out,
                      Scratch& scratch);

std::unique_ptr<FeedForward> make_dense(Network network);

}  // namespace moesim
