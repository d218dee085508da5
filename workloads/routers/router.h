// Contract of a router: which experts one token goes to, and with what weight. Adding one: a .cpp
// file in this folder whose last line registers it under its file's name.
#pragma once

#include <cstdint>
#include <span>

#include "sim/core/catalog.h"

namespace moesim {

struct RouterParameters {
  double scale = 1;  // multiplies the weights
  bool renormalise =
      true;  // divide the chosen weights by their sum, where the router leaves it open
  std::int64_t groups = 1;                 // groups of neighbouring experts; divides the experts
  std::int64_t kept_groups = 1;            // groups a token may choose from
  std::span<const float> correction_bias;  // [experts], added for the choice only; may be empty
};

// logits [experts] -> experts [top_k] and weights [top_k], both of the caller's size, by falling
// weight, equal weights by rising id. Never picks an expert twice.
struct Router {
  void (*route)(std::span<const float> logits,
                const RouterParameters& parameters,
                std::span<std::uint16_t> experts,
                std::span<float> weights);
};

}  // namespace moesim
