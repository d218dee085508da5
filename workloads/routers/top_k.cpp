// Insertion into a short sorted list: top_k is small, and no scratch memory is needed.
#include "workloads/routers/top_k.h"

#include <algorithm>
#include <numeric>

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

}  // namespace moesim
