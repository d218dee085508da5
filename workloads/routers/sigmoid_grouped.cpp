// DeepSeek-V3's router (arXiv 2412.19437, section 2.1.2; also Kimi-K2, GLM-4.5, Nemotron-H):
// sigmoid scores; a bias that balances load decides the choice but not the weights; a token chooses
// from its best groups only. Masked groups are -inf, as in DeepSeek's own code (masked_fill 0 is
// that of transformers 4.57.1) (docs/forward.md, "Routers").
#include <algorithm>
#include <cmath>
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

constexpr float kNoDivisionByZero = 1e-20F;  // the hub's constant

void route_sigmoid_grouped(std::span<const float> logits,
                           const RouterParameters& parameters,
                           std::span<std::uint16_t> experts,
                           std::span<float> weights) {
  const auto sigmoid = [](float x) { return 1.0F / (1.0F + std::exp(-x)); };
  std::vector<float> scores(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    scores[i] = sigmoid(logits[i]) +
                (parameters.correction_bias.empty() ? 0.0F : parameters.correction_bias[i]);
  if (parameters.groups > 1) mask_groups(scores, parameters, 2, parameters.masked_fill);
  choose_largest(scores, experts);
  for (std::size_t i = 0; i < experts.size(); ++i) weights[i] = sigmoid(logits[experts[i]]);
  if (parameters.renormalise) renormalise(weights, kNoDivisionByZero);
  for (float& weight : weights) weight *= static_cast<float>(parameters.scale);
  order_by_weight(experts, weights);
}

const Registered<Router> registered{"sigmoid_grouped",
                                    "sigmoid scores with a correction bias, group-limited top-k",
                                    {.route = route_sigmoid_grouped}};

}  // namespace
}  // namespace moesim
