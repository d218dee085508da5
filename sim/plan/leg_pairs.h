// The pairs of ranks between which a leg moves rows, with the path of each.
#pragma once

#include "sim/plan/all_to_all.h"
#include "sim/plan/fabric_paths.h"

namespace moesim {

// Calls visit(source, destination, rows, path) for every pair of ranks with rows between them: rank
// by rank as the leg's rows lie, that is by source, or by destination where it is transposed. The
// other ends come in ascending order, so both ways a rank's sources do.
template <class Visit>
void for_each_pair(const FabricPaths& paths, const Leg& leg, const Visit& visit) {
  for (std::size_t rank = 0; rank < leg.rows->sources(); ++rank) {
    const auto path = leg.transposed ? paths.paths_into(rank) : paths.paths_from(rank);
    for (const auto [other, rows] : leg.rows->of(rank)) {
      if (other == rank) continue;
      if (leg.transposed) {
        visit(std::size_t{other}, rank, rows, path[other]);
      } else {
        visit(rank, std::size_t{other}, rows, path[other]);
      }
    }
  }
}

}  // namespace moesim
