// DBRX's router (transformers v4.57.1 modeling_dbrx.py, moe_normalize_expert_weights): softmax over
// all experts, the k largest, divided by their L_p norm. Reads renormalise (off where the
// configuration has no p), norm_order and scale.
#include <cmath>
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_dbrx(std::span<const float> logits,
                const RouterParameters& parameters,
                std::span<std::uint16_t> experts,
                std::span<float> weights) {
  std::vector<float> shares(logits.size());
  softmax_over(logits, shares);
  choose_largest(shares, experts);
  double sum = 0;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    weights[i] = shares[experts[i]];
    sum += std::pow(static_cast<double>(weights[i]), parameters.norm_order);
  }
  const double norm = parameters.renormalise ? std::pow(sum, 1 / parameters.norm_order) : 1;
  for (float& weight : weights) weight = static_cast<float>(weight / norm * parameters.scale);
}

const Registered<Router> registered{
    "dbrx", "softmax, top-k, divided by an L_p norm", {.route = route_dbrx}};

}  // namespace
}  // namespace moesim
