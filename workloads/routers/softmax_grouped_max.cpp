// DeepSeek-V2's group-limited greedy routing (arXiv 2405.04434, section 2.1.3; transformers v4.57.1
// modeling_deepseek_v2.py): softmax over all experts, a group scores its largest, experts outside
// the kept groups score 0. Reads groups, kept_groups, renormalise (off in the published models) and
// scale.
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

constexpr float kNoDivisionByZero = 1e-20F;  // DeepSeek's constant

void route_softmax_grouped_max(std::span<const float> logits,
                               const RouterParameters& parameters,
                               std::span<std::uint16_t> experts,
                               std::span<float> weights) {
  std::vector<float> shares(logits.size());
  softmax_over(logits, shares);
  std::vector<float> scores(shares);
  if (parameters.groups > 1) mask_groups(scores, parameters, 1, 0.0F);
  choose_largest(scores, experts);
  for (std::size_t i = 0; i < experts.size(); ++i) weights[i] = shares[experts[i]];
  if (parameters.renormalise) renormalise(weights, kNoDivisionByZero);
  for (float& weight : weights) weight *= static_cast<float>(parameters.scale);
  order_by_weight(experts, weights);
}

const Registered<Router> registered{"softmax_grouped_max",
                                    "softmax, best groups by their largest, top-k",
                                    {.route = route_softmax_grouped_max}};

}  // namespace
}  // namespace moesim
