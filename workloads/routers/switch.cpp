// The Switch router (arXiv 2101.03961, section 2.1; transformers v4.57.1
// modeling_switch_transformers.py): the expert of the largest share of a softmax. Tokens past an
// expert's capacity, in sequence order, are dropped: no expert, weight 0. Jitter is for training
// only. Reads capacity.
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_switch(const SequenceLogits& sequence,
                  const RouterParameters& parameters,
                  std::span<std::uint16_t> experts,
                  std::span<float> weights) {
  const auto tokens = static_cast<std::size_t>(sequence.tokens);
  const std::size_t top_k = experts.size() / tokens, columns = sequence.logits.size() / tokens;
  std::vector<std::int64_t> taken(columns);
  std::vector<float> shares(columns);
  for (std::size_t token = 0; token < tokens; ++token) {
    const auto chosen = experts.subspan(token * top_k, top_k);
    const auto weight = weights.subspan(token * top_k, top_k);
    softmax_over(sequence.logits.subspan(token * columns, columns), shares);
    choose_largest(shares, chosen.first(1));
    weight[0] = shares[chosen[0]];
    const bool dropped = parameters.capacity > 0 && ++taken[chosen[0]] > parameters.capacity;
    leave_unrouted(dropped ? 0 : 1, chosen, weight);
  }
}

const Registered<Router> registered{"switch",
                                    "the one best expert, up to its capacity in sequence order",
                                    {.route_sequence = route_switch}};

}  // namespace
}  // namespace moesim
