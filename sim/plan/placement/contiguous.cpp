// Placement `contiguous`: experts in order, redundant slots begin again with expert 0. Two replicas
// of an expert lie as many slots apart as there are experts, hence on different ranks.
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

std::vector<Placement> contiguous(const PlacementInput& input) {
  const std::size_t experts = expert_count(input);
  std::vector<LogicalExpert> replica_of;
  for (std::size_t slot = 0; slot < static_cast<std::size_t>(input.slots); ++slot)
    replica_of.push_back(id_of<LogicalExpert>(slot % experts));
  return {input.load.size(), placement_of(std::move(replica_of), input.ranks)};
}

const Registered<PlacementPart> registered{
    "contiguous", "experts in order, rank after rank; ignores load", contiguous};

}  // namespace
}  // namespace moesim
