// Softmax over all experts, the k largest, divided by their sum (Mixtral, Qwen3-MoE). Equal to a
// softmax over the chosen logits alone, which is what is computed (docs/forward.md, "Routers").
#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_softmax_topk_renormalised(std::span<const float> logits,
                                     const RouterParameters& parameters,
                                     std::span<std::uint16_t> experts,
                                     std::span<float> weights) {
  choose_largest(logits, experts);
  softmax_of_chosen(logits, experts, parameters.scale, weights);
}

const Registered<Router> registered{"softmax_topk_renormalised",
                                    "softmax over all experts, top-k, weights sum to one",
                                    {.route = route_softmax_topk_renormalised}};

}  // namespace
}  // namespace moesim
