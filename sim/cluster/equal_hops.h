// A way through a graph hop by hop where several are equally good: a number picks among them, so
// that pairs of ranks spread.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

struct EqualHops {
  std::size_t from = 0, goal = 0;  // devices; ranks are the first ones
  std::size_t ranks = 0;           // a GPU passes nothing on, but the goal may be one
  std::uint64_t number = 0;
};

// `hops` by device, with .to and .link; on_way(at, hop): whether the hop brings nearer to the goal.
// There is one at every device on the way.
template <class Hop, class OnWay>
void append_way(const EqualHops& ends,
                const std::vector<std::vector<Hop>>& hops,
                const OnWay& on_way,
                std::vector<LinkId>& path) {
  std::uint64_t choice = ends.number;
  std::vector<const Hop*> equal;
  for (std::size_t at = ends.from; at != ends.goal;) {
    equal.clear();
    for (const Hop& hop : hops[at])
      if ((hop.to == ends.goal || hop.to >= ends.ranks) && on_way(at, hop)) equal.push_back(&hop);
    const Hop& taken = *equal[choice % equal.size()];
    choice /= equal.size();
    if (choice == 0) choice = ends.number;  // the number is used up, the way may be not
    path.push_back(taken.link);
    at = taken.to;
  }
}

}  // namespace moesim
