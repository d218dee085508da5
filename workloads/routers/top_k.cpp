// Insertion into a short sorted list: top_k is small, and no scratch memory is needed.
#include "workloads/routers/top_k.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

void choose_largest(std::span<const float> scores, std::span<std::uint16_t> chosen) {
  std::size_t filled = 0;
  for (std::size_t id = 0; id < scores.size(); ++id) {
    const auto better = [&](std::uint16_t other) {
      return scores[id] > scores[other] || scores[other] != scores[other];
    };
    if (filled == chosen.size() && (filled == 0 || !better(chosen[filled - 1]))) continue;
    std::size_t place = filled < chosen.size() ? filled++ : filled - 1;
    for (; place > 0 && better(chosen[place - 1]); --place) chosen[place] = chosen[place - 1];
    chosen[place] = static_cast<std::uint16_t>(id);
  }
}

void order_by_weight(std::span<std::uint16_t> experts, std::span<float> weights) {
  for (std::size_t end = 1; end < experts.size(); ++end)
    for (std::size_t i = end; i > 0; --i) {
      const bool ordered = weights[i - 1] > weights[i] ||
                           (weights[i - 1] == weights[i] && experts[i - 1] < experts[i]);
      if (ordered) break;
      std::swap(weights[i - 1], weights[i]);
      std::swap(experts[i - 1], experts[i]);
    }
}

void renormalise(std::span<float> weights, float epsilon) {
  const float sum = std::accumulate(weights.begin(), weights.end(), 0.0F) + epsilon;
  for (float& weight : weights) weight /= sum;
}

void softmax_of_chosen(std::span<const float> logits,
                       std::span<const std::uint16_t> experts,
                       double scale,
                       std::span<float> weights) {
  if (experts.empty()) return;
  float largest = logits[experts[0]];
  for (const std::uint16_t expert : experts) largest = std::max(largest, logits[expert]);
  for (std::size_t i = 0; i < experts.size(); ++i)
    weights[i] = std::exp(logits[experts[i]] - largest);
  renormalise(weights, 0);
  for (float& weight : weights) weight *= static_cast<float>(scale);
}

void softmax_over(std::span<const float> logits, std::span<float> shares) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  for (std::size_t i = 0; i < logits.size(); ++i) shares[i] = std::exp(logits[i] - largest);
  renormalise(shares, 0);
}

void mask_groups(std::span<float> scores,
                 const RouterParameters& parameters,
                 std::size_t best,
                 float fill) {
  const auto groups = static_cast<std::size_t>(parameters.groups);
  const std::size_t size = scores.size() / groups;
  std::vector<float> group_scores(groups);
  for (std::size_t group = 0; group < groups; ++group) {
    std::uint16_t chosen[2];
    const auto members = scores.subspan(group * size, size);
    choose_largest(members, std::span(chosen).first(best));
    group_scores[group] = members[chosen[0]] + (best > 1 ? members[chosen[1]] : 0.0F);
  }
  std::vector<std::uint16_t> kept(static_cast<std::size_t>(parameters.kept_groups));
  choose_largest(group_scores, kept);
  for (std::size_t group = 0; group < groups; ++group)
    if (std::find(kept.begin(), kept.end(), group) == kept.end())
      std::fill_n(scores.begin() + static_cast<std::ptrdiff_t>(group * size), size, fill);
}

void add_correction(std::span<const float> bias, std::span<float> scores) {
  for (std::size_t i = 0; i < bias.size(); ++i) scores[i] += bias[i];
}

void leave_unrouted(std::size_t filled,
                    std::span<std::uint16_t> experts,
                    std::span<float> weights) {
  std::fill(experts.begin() + static_cast<std::ptrdiff_t>(filled), experts.end(), kNotRouted);
  std::fill(weights.begin() + static_cast<std::ptrdiff_t>(filled), weights.end(), 0.0F);
}

}  // namespace moesim
