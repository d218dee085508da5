// MiniMax-M2's router (transformers 5.16 modeling_minimax_m2.py): sigmoid scores, a correction bias
// for the choice only, weights divided by their sum. Reads correction_bias and scale.
#include <algorithm>
#include <cmath>
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

void route_sigmoid(std::span<const float> logits,
                   const RouterParameters& parameters,
                   std::span<std::uint16_t> experts,
                   std::span<float> weights) {
  std::vector<float> scores(logits.size());
  std::transform(logits.begin(), logits.end(), scores.begin(), sigmoid);
  add_correction(parameters.correction_bias, scores);
  choose_largest(scores, experts);
  for (std::size_t i = 0; i < experts.size(); ++i) weights[i] = sigmoid(logits[experts[i]]);
  renormalise(weights, 0);
  for (float& weight : weights) weight *= static_cast<float>(parameters.scale);
  order_by_weight(experts, weights);
}

const Registered<Router> registered{
    "sigmoid",
    "sigmoid scores with a correction bias, top-k, weights sum to one",
    {.route = route_sigmoid}};

}  // namespace
}  // namespace moesim
