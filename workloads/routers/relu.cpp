// ReMoE's router (arXiv 2412.14711, section 3.1): the weight is the ReLU of the logit, and every
// expert above zero takes part, so that experts per token vary. std::logic_error when more are
// active than the caller has places: it gives as many as there are experts.
#include <stdexcept>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_relu(std::span<const float> logits,
                const RouterParameters& parameters,
                std::span<std::uint16_t> experts,
                std::span<float> weights) {
  std::size_t filled = 0;
  for (std::size_t expert = 0; expert < logits.size(); ++expert) {
    if (!(logits[expert] > 0)) continue;
    if (filled == experts.size()) throw std::logic_error("relu: more active experts than places");
    experts[filled] = static_cast<std::uint16_t>(expert);
    weights[filled++] = logits[expert] * static_cast<float>(parameters.scale);
  }
  order_by_weight(experts.first(filled), weights.first(filled));
  leave_unrouted(filled, experts, weights);
}

const Registered<Router> registered{
    "relu", "weights are ReLU of the logits; experts per token vary", {.route = route_relu}};

}  // namespace
}  // namespace moesim
