// Link health: links that carry less than they should, by tier or by name.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/core/error.h"

namespace moesim {

// The links that a name means: a tier ("nic"), a cable ("nic 37"), one direction of it ("nic 37
// out"), or with * for any text all cables and directions that fit ("leaf 3 > *"). InputError at
// `where` when there is none, with the nearest name.
std::vector<LinkId> links_named(const Fabric& fabric,
                                const std::string& name,
                                const Location& where);

struct LinkHealth {
  std::string name;  // as links_named takes it
  double ratio = 1;  // of the bandwidth that is left, in (0, 1]
  Location where;    // of the ratio
};

// Multiplies bandwidths; what a tier and a name say multiplies. InputError as links_named.
void apply_link_health(Fabric& fabric, const std::vector<LinkHealth>& health);

}  // namespace moesim
