// Random: the published generators' own outputs, and distributions that have the right moments.
#include "sim/core/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

using namespace moesim;  // NOLINT(google-build-using-namespace)

TEST_CASE("The generator gives xoshiro256** seeded by splitmix64, bit for bit") {
  // Outputs of the reference algorithms, worked out apart from this code with exact integers. The
  // first words of splitmix64 for these seeds (0xe220a8397b1dcdaf, 0x599ed017fb08fc85) agree with
  // the published ones.
  struct Known {
    std::uint64_t seed;
    std::array<std::uint64_t, 4> outputs;
  };
  const std::array<Known, 3> known{{
      {0, {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0, 0x6aa594f1262d2d2c}},
      {1, {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514, 0x642e1c7bc266a3a7}},
      {1234567, {0x30a3a1c363600467, 0x19405f0f579929ca, 0x115beaac046ddbd9, 0xeb17caf48f27d7f6}},
  }};
  for (const Known& each : known) {
    CAPTURE(each.seed);
    Random random(each.seed);
    for (const std::uint64_t output : each.outputs) CHECK(random.bits() == output);
  }
}

TEST_CASE("Purposes have streams of their own, the same for the same seed") {
  // FNV-1a of "batch" over seed 0 is 0x99954e824b0d0e3b.
  CHECK(Random::named(0, "batch").bits() == Random(0x99954e824b0d0e3b).bits());
  CHECK(Random::named(7, "batch").bits() == Random::named(7, "batch").bits());
  CHECK(Random::named(7, "batch").bits() != Random::named(7, "route").bits());
  CHECK(Random::named(7, "batch").bits() != Random::named(8, "batch").bits());
}

TEST_CASE("Uniform numbers use the upper 53 bits and stay below one") {
  Random bits(3);
  Random uniform(3);
  for (int i = 0; i < 1000; ++i) {
    const double value = uniform.uniform();
    CHECK(value == std::ldexp(static_cast<double>(bits.bits() >> 11), -53));
    CHECK(value < 1);
  }
}

TEST_CASE("Every number below n comes up, evenly") {
  Random random(5);
  std::array<int, 6> seen{};
  constexpr int kDraws = 60000;
  for (int i = 0; i < kDraws; ++i) ++seen.at(random.below(6));
  // Standard deviation of a count: sqrt(60000 x 1/6 x 5/6) = 91; five of them are 456.
  for (const int count : seen) CHECK(std::abs(count - kDraws / 6) < 456);
}

TEST_CASE("Normal numbers have mean 0 and variance 1") {
  Random random(11);
  constexpr int kDraws = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
  }
  // Five standard errors: 5 / sqrt(n) of the mean, 5 x sqrt(2 / n) of the variance.
  CHECK(std::abs(sum / kDraws) < 5 / std::sqrt(double{kDraws}));
  CHECK(std::abs(squares / kDraws - 1) < 5 * std::sqrt(2.0 / kDraws));
}

TEST_CASE("Gumbel numbers have the mean of the standard Gumbel distribution") {
  Random random(13);
  constexpr int kDraws = 100000;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) sum += random.gumbel();
  const double deviation = std::numbers::pi / std::sqrt(6.0);
  CHECK(std::abs(sum / kDraws - std::numbers::egamma) < 5 * deviation / std::sqrt(double{kDraws}));
}

TEST_CASE("A shuffle keeps every item and reaches every order") {
  Random random(17);
  std::array<int, 6> orders{};
  constexpr int kShuffles = 6000;
  for (int i = 0; i < kShuffles; ++i) {
    std::array<int, 3> items{0, 1, 2};
    random.shuffle(std::span<int>(items));
    CHECK(std::is_permutation(items.begin(), items.end(), std::array{0, 1, 2}.begin()));
    ++orders.at(static_cast<std::size_t>(items[0] * 2 + (items[1] > items[2] ? 1 : 0)));
  }
  // 1000 each, standard deviation sqrt(6000 x 1/6 x 5/6) = 29; five of them are 145.
  for (const int count : orders) CHECK(std::abs(count - 1000) < 145);
}
