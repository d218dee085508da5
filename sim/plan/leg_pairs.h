// The pairs of ranks between which a leg moves rows, with the path of each.
#pragma once

#include <span>
#include <vector>

#include "sim/plan/all_to_all.h"
#include "sim/plan/fabric_paths.h"

namespace moesim {

// The same legs with rows by the rank that sends them: none is transposed. Paths are kept by
// source, so this is how all of them are read, in the order in which they lie.
std::vector<Leg> legs_by_source(const std::vector<Leg>& legs);

// Calls visit(source, destination, rows) for every pair of ranks with rows between them, source by
// source, destinations ascending. The leg is not transposed.
template <class Visit>
void for_each_pair(const Leg& leg, const Visit& visit) {
  for (std::size_t source = 0; source < leg.rows->sources(); ++source)
    for (const auto [destination, rows] : leg.rows->of(source))
      if (source != destination) visit(source, std::size_t{destination}, rows);
}

}  // namespace moesim
