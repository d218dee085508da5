// The scores and weights shared by DeepSeek-V4's two routers.
#pragma once

#include <cmath>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {

// sqrt(log(1 + e^x)), without overflow.
inline float sqrt_softplus(float x) {
  return std::sqrt(std::max(x, 0.0F) + std::log1p(std::exp(-std::abs(x))));
}

// The chosen experts' bare scores, divided by their sum (+ 1e-20) if asked, times the scale; then
// by falling weight.
inline void weigh_by_sqrt_softplus(std::span<const float> logits,
                                   const RouterParameters& parameters,
                                   std::span<std::uint16_t> experts,
                                   std::span<float> weights) {
  constexpr float kNoDivisionByZero = 1e-20F;  // DeepSeek's constant
  for (std::size_t i = 0; i < experts.size(); ++i) weights[i] = sqrt_softplus(logits[experts[i]]);
  if (parameters.renormalise) renormalise(weights, kNoDivisionByZero);
  for (float& weight : weights) weight *= static_cast<float>(parameters.scale);
  order_by_weight(experts, weights);
}

}  // namespace moesim
