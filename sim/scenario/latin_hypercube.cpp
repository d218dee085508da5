// One permutation of the strata for each axis.
#include "sim/scenario/latin_hypercube.h"

#include <cmath>
#include <numeric>
#include <span>

#include "sim/core/random.h"

namespace moesim {
namespace {

// A draw at the very end of a stratum may round up into the next one.
double within(std::size_t stratum, double draw, std::size_t strata) {
  const auto count = static_cast<double>(strata), begin = static_cast<double>(stratum);
  double value = (begin + draw) / count;
  while (value * count >= begin + 1) value = std::nextafter(value, 0.0);
  return value;
}

}  // namespace

std::vector<std::vector<double>> latin_hypercube(const std::vector<std::string>& axes,
                                                 std::size_t points,
                                                 std::uint64_t seed) {
  std::vector<std::vector<double>> cube;
  for (const std::string& axis : axes) {
    Random random = Random::named(seed, "latin hypercube " + axis);
    std::vector<std::size_t> strata(points);
    std::iota(strata.begin(), strata.end(), std::size_t{0});
    random.shuffle(std::span(strata));
    std::vector<double>& values = cube.emplace_back();
    values.reserve(points);
    for (const std::size_t stratum : strata)
      values.push_back(within(stratum, random.uniform(), points));
  }
  return cube;
}

}  // namespace moesim
