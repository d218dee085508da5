// The pairs of ranks between which a leg moves rows, with the path of each.
#pragma once

#include <span>

#include "sim/plan/all_to_all.h"
#include "sim/plan/fabric_paths.h"

namespace moesim {

template <class Visit>
void for_each_pair_back(const FabricPaths& paths, const Leg& leg, const Visit& visit) {
  for (std::size_t destination = 0; destination < leg.rows->sources(); ++destination)
    for (const auto [source, rows] : leg.rows->of(destination))
      if (source != destination)
        visit(source, destination, rows, paths.middles_from(source)[destination]);
}

// Calls visit(source, destination, rows, middle of their path) for every pair of ranks with rows
// between them.
template <class Visit>
void for_each_pair(const FabricPaths& paths, const Leg& leg, const Visit& visit) {
  if (leg.transposed) return for_each_pair_back(paths, leg, visit);
  for (std::size_t source = 0; source < leg.rows->sources(); ++source) {
    const std::span<const std::uint32_t> middles = paths.middles_from(source);
    for (const auto [destination, rows] : leg.rows->of(source))
      if (source != destination) visit(source, destination, rows, middles[destination]);
  }
}

}  // namespace moesim
