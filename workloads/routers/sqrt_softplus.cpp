// DeepSeek-V4's router (transformers 5.16 modeling_deepseek_v4.py): scores are the square root of
// softplus; a correction bias for the choice only, no groups; weights divided by their sum, times
// the scale. Reads correction_bias, renormalise and scale.
#include "workloads/routers/sqrt_softplus.h"

#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_sqrt_softplus(std::span<const float> logits,
                         const RouterParameters& parameters,
                         std::span<std::uint16_t> experts,
                         std::span<float> weights) {
  std::vector<float> scores(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) scores[i] = sqrt_softplus(logits[i]);
  add_correction(parameters.correction_bias, scores);
  choose_largest(scores, experts);
  weigh_by_sqrt_softplus(logits, parameters, experts, weights);
}

const Registered<Router> registered{"sqrt_softplus",
                                    "square root of softplus with a correction bias, top-k",
                                    {.route = route_sqrt_softplus}};

}  // namespace
}  // namespace moesim
