// Phi-3.5-MoE's router in evaluation (SparseMixer, arXiv 2310.00811; transformers v4.57.1
// modeling_phimoe.py): the best expert, then the best of the others, each weighed by a softmax over
// the experts within 2 x jitter of it, relative to the larger of |logit| and the best logit.
// Weights do not sum to one. The class has top-2; further choices repeat the second step. Reads
// jitter.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

// Softmax weight of `best` among those still left whose distance to it is at most `threshold`.
float share_among_rivals(std::span<const float> logits,
                         std::span<const float> left,
                         std::size_t best,
                         double threshold) {
  const float largest = left[best];
  float sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float factor = std::max(std::abs(logits[i]), largest);
    if ((largest - logits[i]) / factor > static_cast<float>(threshold)) continue;
    sum += std::exp(left[i] - largest);
  }
  return 1.0F / sum;
}

void route_sparsemixer(std::span<const float> logits,
                       const RouterParameters& parameters,
                       std::span<std::uint16_t> experts,
                       std::span<float> weights) {
  std::vector<float> left(logits.begin(), logits.end());
  for (std::size_t i = 0; i < experts.size(); ++i) {
    choose_largest(left, experts.subspan(i, 1));
    weights[i] = share_among_rivals(logits, left, experts[i], 2 * parameters.jitter);
    left[experts[i]] = -std::numeric_limits<float>::infinity();
  }
  order_by_weight(experts, weights);
}

const Registered<Router> registered{
    "sparsemixer",
    "best expert, then best of the rest; each weighed among its near rivals",
    {.route = route_sparsemixer}};

}  // namespace
}  // namespace moesim
