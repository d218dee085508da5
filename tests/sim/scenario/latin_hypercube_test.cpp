// Laws of the Latin hypercube, for many sizes and seeds.
#include "sim/scenario/latin_hypercube.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace moesim;

TEST_CASE("Every stratum of every axis holds exactly one point") {
  for (const std::size_t points : {1U, 2U, 3U, 7U, 64U, 1000U, 4097U}) {
    for (const std::uint64_t seed : {0ULL, 1ULL, 99ULL, 1ULL << 62U}) {
      const auto cube = latin_hypercube({"a", "b", "plan.redundant_experts"}, points, seed);
      REQUIRE(cube.size() == 3);
      for (const std::vector<double>& axis : cube) {
        REQUIRE(axis.size() == points);
        std::vector<int> held(points);
        for (const double value : axis) {
          REQUIRE(value >= 0);
          REQUIRE(value < 1);
          ++held[static_cast<std::size_t>(std::floor(value * static_cast<double>(points)))];
        }
        for (const int count : held) CHECK(count == 1);
      }
    }
  }
}

TEST_CASE("The same seed gives the same points, another seed others") {
  const auto first = latin_hypercube({"a", "b"}, 50, 7);
  CHECK(first == latin_hypercube({"a", "b"}, 50, 7));
  CHECK(first != latin_hypercube({"a", "b"}, 50, 8));
  CHECK(first[0] != first[1]);
}

TEST_CASE("The numbers of an axis do not depend on the other axes") {
  CHECK(latin_hypercube({"a", "b"}, 50, 7)[1] == latin_hypercube({"b", "c", "d"}, 50, 7)[0]);
}

TEST_CASE("Axes are independent of each other") {
  const std::size_t points = 4000;
  const auto cube = latin_hypercube({"a", "b"}, points, 3);
  double product = 0;
  for (std::size_t i = 0; i < points; ++i) product += (cube[0][i] - 0.5) * (cube[1][i] - 0.5);
  // Uniform variables have variance 1/12; the correlation of independent ones has standard
  // deviation 1 / sqrt(points), and five of them are never met.
  const double correlation = 12 * product / static_cast<double>(points);
  CHECK(std::abs(correlation) < 5 / std::sqrt(static_cast<double>(points)));
}
