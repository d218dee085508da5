// Softmax over all experts, then the k largest as they are (OLMoE, Qwen2-MoE; docs/forward.md,
// "Routers").
#include <algorithm>
#include <cmath>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_softmax_topk(std::span<const float> logits,
                        const RouterParameters& parameters,
                        std::span<std::uint16_t> experts,
                        std::span<float> weights) {
  choose_largest(logits, experts);  // softmax keeps the order
  const float largest = *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  const float scale = static_cast<float>(parameters.scale);
  for (std::size_t i = 0; i < experts.size(); ++i)
    weights[i] = std::exp(logits[experts[i]] - largest) / sum * scale;
}

const Registered<Router> registered{"softmax_topk",
                                    "softmax over all experts, top-k, not renormalised",
                                    {.route = route_softmax_topk}};

}  // namespace
}  // namespace moesim
