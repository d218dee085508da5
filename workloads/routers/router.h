// Contract of a router: which experts a token goes to, and with what weight. Adding one: a .cpp
// file in this folder whose last line registers it under its file's name.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "sim/core/catalog.h"

namespace moesim {

// What the routers may be asked for; each says in its file which fields it reads.
struct RouterParameters {
  double scale = 1;  // multiplies the weights
  bool renormalise =
      true;  // divide the chosen weights by their sum, where the router leaves it open
  std::int64_t groups = 1;                 // groups of neighbouring experts; divides the experts
  std::int64_t kept_groups = 1;            // groups a token may choose from
  std::span<const float> correction_bias;  // [experts], added for the choice only; may be empty
  float masked_fill = -std::numeric_limits<float>::infinity();  // score of experts in other groups
  std::span<const std::uint16_t> token_experts;  // [vocabulary][top_k], of hash routing
  std::int64_t capacity = 0;                     // tokens an expert takes of a sequence; 0 = all
  double norm_order = 1;                         // p of an L_p norm that divides the weights
  double jitter = 0;                             // threshold of the sparse mixer
};

// The logits of all new tokens of one request, [tokens][experts].
struct SequenceLogits {
  std::span<const float> logits;
  std::int64_t tokens = 0;
  std::span<const std::int32_t> token_ids;  // [tokens]
};

// A router gives one of `route` (a token by itself), `route_sequence` (tokens that compete, or are
// known by id) and `mix`; results by falling weight, equal weights by rising id; never an expert
// twice. Places that no expert takes hold kNotRouted (0xFFFF) with weight 0, behind the others.
struct Router {
  // logits [experts] -> experts [top_k] and weights [top_k], both of the caller's size
  void (*route)(std::span<const float> logits,
                const RouterParameters& parameters,
                std::span<std::uint16_t> experts,
                std::span<float> weights) = nullptr;
  // -> experts [tokens][top_k] and weights [tokens][top_k]
  void (*route_sequence)(const SequenceLogits& sequence,
                         const RouterParameters& parameters,
                         std::span<std::uint16_t> experts,
                         std::span<float> weights) = nullptr;
  // Soft MoE only, which routes nothing: logits [tokens][slots] -> each slot's mix of the tokens
  // (columns of `dispatch` sum to 1) and each token's mix of the slots' results (rows of `combine`
  // sum to 1), both [tokens][slots].
  void (*mix)(const SequenceLogits& sequence,
              std::span<float> dispatch,
              std::span<float> combine) = nullptr;
  bool scales_input = false;  // the weight multiplies the expert's input, not its output (Llama 4)
};

}  // namespace moesim
