// The k largest logits, then a softmax over them alone (gpt-oss, Granite: transformers v4.57.1
// modeling_gpt_oss.py and modeling_granitemoe.py).

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_topk_softmax(std::span<const float> logits,
                        const RouterParameters& parameters,
                        std::span<std::uint16_t> experts,
                        std::span<float> weights) {
  choose_largest(logits, experts);
  softmax_of_chosen(logits, experts, parameters.scale, weights);
}

const Registered<Router> registered{"topk_softmax",
                                    "top-k of the logits, then a softmax over the chosen",
                                    {.route = route_topk_softmax}};

}  // namespace
}  // namespace moesim
