// Expert Choice (arXiv 2202.09368, section 3.2): softmax over experts, then each expert takes the
// `capacity` tokens that give it the largest share. A token's row holds the experts that took it,
// up to all of them. Reads capacity (tokens n x capacity factor / experts). std::logic_error when a
// row has no room for its experts: the caller gives as many places as there are experts.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_expert_choice(const SequenceLogits& sequence,
                         const RouterParameters& parameters,
                         std::span<std::uint16_t> experts,
                         std::span<float> weights) {
  const auto tokens = static_cast<std::size_t>(sequence.tokens);
  const std::size_t width = experts.size() / tokens, columns = sequence.logits.size() / tokens;
  std::vector<float> shares(tokens * columns);
  for (std::size_t token = 0; token < tokens; ++token)
    softmax_over(sequence.logits.subspan(token * columns, columns),
                 std::span(shares).subspan(token * columns, columns));
  std::vector<std::size_t> filled(tokens);
  const auto capacity = static_cast<std::size_t>(parameters.capacity);
  std::vector<std::uint32_t> order(tokens);
  for (std::size_t expert = 0; expert < columns; ++expert) {
    for (std::size_t token = 0; token < tokens; ++token)
      order[token] = static_cast<std::uint32_t>(token);
    const auto share = [&](std::uint32_t token) { return shares[token * columns + expert]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return share(a) > share(b); });
    for (std::size_t i = 0; i < std::min(capacity, tokens); ++i) {
      const std::size_t token = order[i];
      if (filled[token] == width) throw std::logic_error("expert_choice: a token's row is full");
      experts[token * width + filled[token]] = static_cast<std::uint16_t>(expert);
      weights[token * width + filled[token]++] = share(order[i]);
    }
  }
  for (std::size_t token = 0; token < tokens; ++token) {
    const auto chosen = experts.subspan(token * width, width);
    const auto weight = weights.subspan(token * width, width);
    order_by_weight(chosen.first(filled[token]), weight.first(filled[token]));
    leave_unrouted(filled[token], chosen, weight);
  }
}

const Registered<Router> registered{"expert_choice",
                                    "each expert takes its best tokens of a sequence",
                                    {.route_sequence = route_expert_choice}};

}  // namespace
}  // namespace moesim
