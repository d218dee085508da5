// DeepSeek-V3's router (arXiv 2412.19437, section 2.1.2; also Kimi-K2, GLM-4.5, Nemotron-H):
// sigmoid scores; a bias that balances load decides the choice but not the weights; a token chooses
// from its best groups only. Masked groups are -inf, as in DeepSeek's own code (docs/models.md,
// "Routers").
#include <algorithm>
#include <cmath>
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

constexpr float kNoDivisionByZero = 1e-20F;  // the hub's constant

// A group scores the sum of its two best; all but the best groups become masked_fill.
void mask_groups(std::span<float> scores, const RouterParameters& parameters) {
  const auto groups = static_cast<std::size_t>(parameters.groups);
  const std::size_t size = scores.size() / groups;
  std::vector<float> group_scores(groups);
  for (std::size_t group = 0; group < groups; ++group) {
    std::uint16_t best[2];
    const auto members = scores.subspan(group * size, size);
    choose_largest(members, best);
    group_scores[group] = members[best[0]] + members[best[1]];
  }
  std::vector<std::uint16_t> kept(static_cast<std::size_t>(parameters.kept_groups));
  choose_largest(group_scores, kept);
  for (std::size_t group = 0; group < groups; ++group)
    if (std::find(kept.begin(), kept.end(), group) == kept.end())
      std::fill_n(scores.begin() + static_cast<std::ptrdiff_t>(group * size), size,
                  parameters.masked_fill);
}

void route_sigmoid_grouped(std::span<const float> logits,
                           const RouterParameters& parameters,
                           std::span<std::uint16_t> experts,
                           std::span<float> weights) {
  const auto sigmoid = [](float x) { return 1.0F / (1.0F + std::exp(-x)); };
  std::vector<float> scores(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    scores[i] = sigmoid(logits[i]) +
                (parameters.correction_bias.empty() ? 0.0F : parameters.correction_bias[i]);
  if (parameters.groups > 1) mask_groups(scores, parameters);
  choose_largest(scores, experts);
  for (std::size_t i = 0; i < experts.size(); ++i) weights[i] = sigmoid(logits[experts[i]]);
  if (parameters.renormalise) renormalise(weights, kNoDivisionByZero);
  for (float& weight : weights) weight *= static_cast<float>(parameters.scale);
  order_by_weight(experts, weights);
}

const Registered<Router> registered{"sigmoid_grouped",
                                    "sigmoid scores with a correction bias, group-limited top-k",
                                    {route_sigmoid_grouped}};

}  // namespace
}  // namespace moesim
