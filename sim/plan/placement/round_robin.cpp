// Placement `round_robin`: experts dealt out to the ranks like cards, the redundant ones after the
// first. The deal moves on by one rank whenever it would bring an expert back to a rank that has
// it: every lcm(experts, ranks) cards.
#include <numeric>

#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

std::vector<Placement> round_robin(const PlacementInput& input) {
  const std::size_t experts = expert_count(input);
  const auto slots = static_cast<std::size_t>(input.slots);
  const auto ranks = static_cast<std::size_t>(input.ranks);
  const std::size_t slots_per_rank = slots / ranks;
  assert(experts > 0 && ranks > 0 && "both are counts above zero");
  const std::size_t period = std::max<std::size_t>(std::lcm(experts, ranks), 1);
  std::vector<LogicalExpert> replica_of(slots);
  for (std::size_t card = 0; card < slots; ++card) {
    const std::size_t rank = (card + card / period) % ranks;
    replica_of[rank * slots_per_rank + card / ranks] = id_of<LogicalExpert>(card % experts);
  }
  return {input.load.size(), placement_of(std::move(replica_of), input.ranks)};
}

const Registered<PlacementPart> registered{
    "round_robin", "experts dealt out to the ranks in turn; ignores load", round_robin};

}  // namespace
}  // namespace moesim
