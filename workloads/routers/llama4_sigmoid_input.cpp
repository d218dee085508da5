// Llama 4's router (transformers v4.57.1 modeling_llama4.py): the k largest logits; the sigmoid of
// a chosen logit multiplies the expert's input.
#include <cmath>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_llama4_sigmoid_input(std::span<const float> logits,
                                const RouterParameters& parameters,
                                std::span<std::uint16_t> experts,
                                std::span<float> weights) {
  choose_largest(logits, experts);  // the sigmoid keeps the order
  const auto scale = static_cast<float>(parameters.scale);
  for (std::size_t i = 0; i < experts.size(); ++i)
    weights[i] = scale / (1.0F + std::exp(-logits[experts[i]]));
}

const Registered<Router> registered{"llama4_sigmoid_input",
                                    "top-k of the logits; their sigmoid scales the expert's input",
                                    {.route = route_llama4_sigmoid_input, .scales_input = true}};

}  // namespace
}  // namespace moesim
