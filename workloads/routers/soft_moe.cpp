// Soft MoE (arXiv 2308.00951, section 2.1): no token is routed. Each expert slot works on a mix of
// all tokens (softmax over tokens), each token receives a mix of all slots (softmax over slots).
#include <vector>

#include "workloads/routers/router.h"
#include "workloads/routers/top_k.h"

namespace moesim {
namespace {

void mix_soft_moe(const SequenceLogits& sequence,
                  std::span<float> dispatch,
                  std::span<float> combine) {
  const auto tokens = static_cast<std::size_t>(sequence.tokens);
  const std::size_t slots = sequence.logits.size() / tokens;
  for (std::size_t token = 0; token < tokens; ++token)
    softmax_over(sequence.logits.subspan(token * slots, slots),
                 combine.subspan(token * slots, slots));
  std::vector<float> column(tokens);
  for (std::size_t slot = 0; slot < slots; ++slot) {
    for (std::size_t token = 0; token < tokens; ++token)
      column[token] = sequence.logits[token * slots + slot];
    softmax_over(column, column);
    for (std::size_t token = 0; token < tokens; ++token)
      dispatch[token * slots + slot] = column[token];
  }
}

const Registered<Router> registered{
    "soft_moe", "every slot mixes all tokens; nothing is routed", {.mix = mix_soft_moe}};

}  // namespace
}  // namespace moesim
