// What the placement strategies share: slots in rank order, and the input they may rely on.
#pragma once

#include <cassert>

#include "sim/plan/placement.h"

namespace moesim {

// Logical experts of the input's layers (all layers have as many).
inline std::size_t expert_count(const PlacementInput& input) {
  assert(!input.load.empty() && "a placement needs the load of at least one layer");
  assert(input.slots >= static_cast<int>(input.load.front().size()) &&
         "every logical expert needs a slot: check_plan refuses fewer");
  assert(input.slots % input.ranks == 0 && "slots divide over ranks: check_plan refuses others");
  return input.load.front().size();
}

// The placement whose slot p holds expert `replica_of[p]`, slots / ranks slots to each rank.
inline Placement placement_of(std::vector<LogicalExpert> replica_of, int ranks) {
  Placement placement{std::move(replica_of), {}};
  const std::size_t slots = placement.replica_of.size();
  for (std::size_t slot = 0; slot < slots; ++slot)
    placement.rank_of.push_back(id_of<Rank>(slot * static_cast<std::size_t>(ranks) / slots));
  return placement;
}

}  // namespace moesim
