// Link health: links that carry less than they should, by tier or by name.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/core/error.h"

namespace moesim {

struct LinkHealth {
  std::string name;  // a tier ("nic"), a cable ("nic 37") or one direction of it ("nic 37 out")
  double ratio = 1;  // of the bandwidth that is left, in (0, 1]
  Location where;    // of the ratio
};

// Multiplies bandwidths; what a tier and a name say multiplies. InputError at `where` for a name
// that no link and no tier of this fabric has, with the nearest.
void apply_link_health(Fabric& fabric, const std::vector<LinkHealth>& health);

}  // namespace moesim
