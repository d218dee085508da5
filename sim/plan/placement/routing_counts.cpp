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

namespace {

// Calls visit(trace row) for the rows of the window. A row is a cache line or more from the last
// one, in an order the hardware cannot guess, so its choices in `layer` are fetched ahead.
template <class Visit>
void for_each_row(const PlanningTokens& tokens, std::size_t layer, const Visit& visit) {
  constexpr std::size_t kRowsAhead = 16;
  for (std::size_t i = 0; i < tokens.rows.size(); ++i) {
    if (i + kRowsAhead < tokens.rows.size())
      __builtin_prefetch(tokens.trace->choice(tokens.rows[i + kRowsAhead], layer).data());
    visit(tokens.rows[i]);
  }
}

// A token's choices without those that are none.
class Chosen {
 public:
  explicit Chosen(const RoutingTrace& trace)
      : experts_(static_cast<std::size_t>(trace.header.experts)),
        kept_(static_cast<std::size_t>(trace.header.top_k)) {}
  std::span<const std::uint16_t> of(std::span<const std::uint16_t> choice) {
    std::size_t count = 0;
    for (const std::uint16_t expert : choice) {
      kept_[count] = expert;
      count += expert < experts_ ? 1 : 0;
    }
    return std::span(kept_).first(count);
  }

 private:
  std::size_t experts_;
  std::vector<std::uint16_t> kept_;
};

}  // namespace

ExpertPairs co_activation(const PlanningTokens& tokens, std::size_t layer) {
  const auto experts = static_cast<std::size_t>(tokens.trace->header.experts);
  ExpertPairs pairs(experts);
  Chosen own(*tokens.trace);
  for_each_row(tokens, layer, [&](std::uint32_t row) {
    const auto chosen = own.of(tokens.trace->choice(row, layer));
    for (std::size_t i = 0; i < chosen.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) ++pairs.at(chosen[i], chosen[j]);
  });
  for (std::size_t a = 0; a < experts; ++a) {
    pairs.at(a, a) = 0;
    for (std::size_t b = 0; b < a; ++b)
      pairs.at(a, b) = pairs.at(b, a) = pairs.at(a, b) + pairs.at(b, a);
  }
  return pairs;
}

ExpertPairs transitions(const PlanningTokens& tokens, std::size_t layer) {
  const auto experts = static_cast<std::size_t>(tokens.trace->header.experts);
  ExpertPairs pairs(experts);
  Chosen own(*tokens.trace), following(*tokens.trace);
  for_each_row(tokens, layer, [&](std::uint32_t row) {
    const auto next = following.of(tokens.trace->choice(row, layer + 1));
    for (const std::uint16_t from : own.of(tokens.trace->choice(row, layer)))
      for (const std::uint16_t to : next) ++pairs.at(from, to);
  });
  return pairs;
}

}  // namespace moesim
