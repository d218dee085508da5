// Pairs counted row by row.
#include "sim/plan/placement/routing_counts.h"

#include "sim/core/error.h"
#include "sim/trace/routing_trace.h"

namespace moesim {

void require_tokens(const PlacementInput& input, const std::string& strategy) {
  if (input.tokens.trace != nullptr) return;
  throw InputError("placement " + strategy +
                   ": needs to see which experts each token chose, not loads alone; give a routing "
                   "trace (--trace)");
}

ExpertPairs co_activation(const PlanningTokens& tokens, std::size_t layer) {
  const auto experts = static_cast<std::size_t>(tokens.trace->header.experts);
  ExpertPairs pairs(experts);
  for (const std::uint32_t row : tokens.rows) {
    const auto choice = tokens.trace->choice(row, layer);
    for (std::size_t i = 0; i < choice.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (choice[i] < experts && choice[j] < experts && choice[i] != choice[j])
          ++pairs.at(std::max(choice[i], choice[j]), std::min(choice[i], choice[j]));
  }
  for (std::size_t a = 0; a < experts; ++a)
    for (std::size_t b = 0; b < a; ++b) pairs.at(b, a) = pairs.at(a, b);
  return pairs;
}

ExpertPairs transitions(const PlanningTokens& tokens, std::size_t layer) {
  const auto experts = static_cast<std::size_t>(tokens.trace->header.experts);
  ExpertPairs pairs(experts);
  for (const std::uint32_t row : tokens.rows) {
    const auto next = tokens.trace->choice(row, layer + 1);
    for (const std::uint16_t from : tokens.trace->choice(row, layer)) {
      if (from >= experts) continue;
      for (const std::uint16_t to : next)
        if (to < experts) ++pairs.at(from, to);
    }
  }
  return pairs;
}

}  // namespace moesim
