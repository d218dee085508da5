// Points spread evenly over a cube: a seeded Latin hypercube.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesim {

// McKay, Beckman and Conover, "A comparison of three methods for selecting values of input
// variables" (Technometrics 21, 1979): [axis][point] in [0, 1). Each axis is cut into `points`
// strata alike, and every stratum holds one point: a permutation of the strata of each axis, and a
// uniform draw within the stratum. The numbers of an axis depend on its name and the seed, not on
// the other axes.
std::vector<std::vector<double>> latin_hypercube(const std::vector<std::string>& axes,
                                                 std::size_t points,
                                                 std::uint64_t seed);

}  // namespace moesim
