// Greedy is an argmax; sampling orders the vocabulary only where top_k or top_p ask for it.
#include "workloads/forward/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/core/error.h"

namespace moesim {
namespace {

// The ids that may be drawn and exp((logit - largest) / temperature) of each.
struct Candidates {
  std::vector<std::int32_t> ids;
  std::vector<double> weights;
  void keep(std::size_t count) {
    ids.resize(count);
    weights.resize(count);
  }
};

Candidates candidates_of(std::span<const float> logits, const Sampling& sampling) {
  Candidates candidates;
  candidates.ids.resize(logits.size());
  std::iota(candidates.ids.begin(), candidates.ids.end(), 0);
  const auto logit = [&](std::int32_t id) { return logits[static_cast<std::size_t>(id)]; };
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return logit(a) > logit(b) || (logit(a) == logit(b) && a < b);
  };
  const auto top_k = static_cast<std::size_t>(sampling.top_k);
  if (top_k > 0 && top_k < logits.size()) {
    std::nth_element(candidates.ids.begin(),
                     candidates.ids.begin() + static_cast<std::ptrdiff_t>(top_k),
                     candidates.ids.end(), before);
    candidates.ids.resize(top_k);
    std::sort(candidates.ids.begin(), candidates.ids.end());
  }
  if (sampling.top_p < 1) std::sort(candidates.ids.begin(), candidates.ids.end(), before);
  const double largest = *std::max_element(logits.begin(), logits.end());
  candidates.weights.reserve(candidates.ids.size());
  for (const std::int32_t id : candidates.ids)
    candidates.weights.push_back(std::exp((logit(id) - largest) / sampling.temperature));
  return candidates;
}

}  // namespace

void check_sampling(const Sampling& sampling) {
  if (!(sampling.temperature > 0 && std::isfinite(sampling.temperature)))
    throw InputError(fmt::format(
        "temperature is {}; it must be above 0 (for none, sample greedily)", sampling.temperature));
  if (!(sampling.top_p > 0 && sampling.top_p <= 1))
    throw InputError(
        fmt::format("top_p is {}; it must be above 0 and at most 1 (all)", sampling.top_p));
  if (sampling.top_k < 0)
    throw InputError(fmt::format("top_k is {}; it must be 0 (all) or more", sampling.top_k));
}

std::int32_t choose_token(std::span<const float> logits, const Sampling& sampling, Random& random) {
  if (sampling.greedy)
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) -
                                     logits.begin());
  Candidates candidates = candidates_of(logits, sampling);
  double total = std::accumulate(candidates.weights.begin(), candidates.weights.end(), 0.0);
  if (sampling.top_p < 1) {
    double sum = 0;
    std::size_t kept = 0;
    while (kept < candidates.ids.size() && sum < sampling.top_p * total)
      sum += candidates.weights[kept++];
    candidates.keep(std::max<std::size_t>(kept, 1));
    total = sum;
  }
  double left = random.uniform() * total;
  for (std::size_t i = 0; i + 1 < candidates.ids.size(); ++i) {
    if (left < candidates.weights[i]) return candidates.ids[i];
    left -= candidates.weights[i];
  }
  return candidates.ids.back();
}

}  // namespace moesim
