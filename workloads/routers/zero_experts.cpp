// LongCat-Flash's router (arXiv 2509.01322, section 2.1; transformers v4.57.1
// modeling_longcat_flash.py): a softmax over real and zero-computation experts together; share plus
// correction bias decides, the weight is the bare share times the scale. Chosen ids from the number
// of real experts on return their input. Reads correction_bias and scale.
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_zero_experts(std::span<const float> logits,
                        const RouterParameters& parameters,
                        std::span<std::uint16_t> experts,
                        std::span<float> weights) {
  std::vector<float> shares(logits.size());
  softmax_over(logits, shares);
  std::vector<float> scores(shares);
  add_correction(parameters.correction_bias, scores);
  choose_largest(scores, experts);
  for (std::size_t i = 0; i < experts.size(); ++i)
    weights[i] = shares[experts[i]] * static_cast<float>(parameters.scale);
  order_by_weight(experts, weights);
}

const Registered<Router> registered{
    "zero_experts",
    "softmax over experts and zero experts, choice with a correction bias",
    {.route = route_zero_experts}};

}  // namespace
}  // namespace moesim
