// The mixture of experts: a router, routed experts, and shared experts.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/network.h"
#include "workloads/routers/router.h"

namespace moesim {

struct MoeParameters {
  std::int64_t hidden = 0, experts = 0, top_k = 0;
  std::int64_t width = 0;         // of one expert
  std::int64_t shared_width = 0;  // of the shared experts together; 0 = none
  // Experts that return their input (LongCat): ids experts .. experts + zero_experts - 1.
  std::int64_t zero_experts = 0;
  Router router{};
  RouterParameters routing;  // correction_bias and token_experts are taken from the weights
  Activation activation;     // of routed experts and, unless its weights say otherwise, shared ones
};

// Checks top_k against experts, and the number of experts against what a trace can hold.
void check_experts(const ConfigReader& config,
                   const std::string& experts_key,
                   const MoeParameters& parameters);

struct MoeWeights {
  std::shared_ptr<const Weight> router;  // [experts + zero_experts][hidden]
  Floats router_bias;                    // [experts + zero_experts] or empty: part of the logits
  Floats correction_bias;                // [experts + zero_experts] or empty: for the choice only
  std::vector<std::uint16_t> token_experts;  // [vocabulary][top_k] or empty: hash routing
  std::vector<Network> experts;
  Network shared;                             // down is null when there is none
  std::shared_ptr<const Weight> shared_gate;  // [1][hidden] or null: sigmoid(gate x) * shared(x)
  // Experts that work in a smaller space (Nemotron-3 Super): [latent][hidden] and [hidden][latent];
  // null when they do not. The router and the shared experts see the hidden state.
  std::shared_ptr<const Weight> latent_down, latent_up;
};

// <prefix>gate.weight and <prefix>experts.<id>.<name>.weight; the caller adds what else there is.
MoeWeights load_moe(const Checkpoint& weights,
                    const std::string& prefix,
                    const NetworkNames& names,
                    const MoeParameters& parameters);

// Experts fused in two tensors, <prefix><up> [experts][2 width][hidden] and <prefix><down>
// [experts][hidden][width], or each expert transposed. Biases: <name>_bias [experts][rows].
struct FusedExperts {
  std::string up = "gate_up_proj", down = "down_proj";
  bool transposed = false, bias = false;
};
std::vector<Network> load_fused_experts(const Checkpoint& weights,
                                        const std::string& prefix,
                                        const FusedExperts& fused,
                                        const MoeParameters& parameters);

std::unique_ptr<FeedForward> make_moe(const MoeParameters& parameters, MoeWeights weights);

}  // namespace moesim
