// Whether a placement's input can be placed at all, for those who take it from a user.
#pragma once

#include "sim/plan/placement.h"

namespace moesim {

// What the user calls the counts.
struct PlacementKeys {
  const char *slots, *ranks, *nodes, *groups;
};

// InputError that begins with the key, unless: all layers have as many experts, loads are finite
// and not below 0, slots hold all experts, ranks divide the slots, nodes divide the ranks, groups
// are at least one.
void check_input(const PlacementInput& input, const PlacementKeys& keys);

}  // namespace moesim
