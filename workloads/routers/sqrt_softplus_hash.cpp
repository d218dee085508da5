// Hash routing of DeepSeek-V4's first layers (transformers 5.16 modeling_deepseek_v4.py): a token's
// experts stand in a table by its id; their weights still come from the gate. Reads token_experts,
// renormalise and scale.
#include <algorithm>

#include "workloads/routers/router.h"
#include "workloads/routers/sqrt_softplus.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void route_sqrt_softplus_hash(const SequenceLogits& sequence,
                              const RouterParameters& parameters,
                              std::span<std::uint16_t> experts,
                              std::span<float> weights) {
  const auto tokens = static_cast<std::size_t>(sequence.tokens);
  const std::size_t top_k = experts.size() / tokens, columns = sequence.logits.size() / tokens;
  for (std::size_t token = 0; token < tokens; ++token) {
    const auto chosen = experts.subspan(token * top_k, top_k);
    const auto row = static_cast<std::size_t>(sequence.token_ids[token]) * top_k;
    std::copy_n(parameters.token_experts.begin() + static_cast<std::ptrdiff_t>(row), top_k,
                chosen.begin());
    weigh_by_sqrt_softplus(sequence.logits.subspan(token * columns, columns), parameters, chosen,
                           weights.subspan(token * top_k, top_k));
  }
}

const Registered<Router> registered{"sqrt_softplus_hash",
                                    "experts from a table by token id, weighed by sqrt_softplus",
                                    {.route_sequence = route_sqrt_softplus_hash}};

}  // namespace
}  // namespace moesim
