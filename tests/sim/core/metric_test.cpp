// Metric: a value's band follows from what it rests on.
#include "sim/core/metric.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

#include "sim/core/error.h"

using namespace moesim;  // NOLINT(google-build-using-namespace)

namespace {
constexpr std::array kStrongestFirst{Basis::exact, Basis::measured_table, Basis::calibrated,
                                     Basis::transferred, Basis::datasheet};
}

TEST_CASE("Every basis has a name that reads back as the same basis") {
  for (const Basis basis : kStrongestFirst) {
    CAPTURE(to_text(basis));
    CHECK(parse_basis(to_text(basis)) == basis);
  }
}

TEST_CASE("An unknown basis is refused with the nearest name") {
  CHECK_THROWS_WITH_AS(parse_basis("datashet"), doctest::Contains("did you mean \"datasheet\"?"),
                       InputError);
}

TEST_CASE("A weaker basis has a wider band") {
  CHECK(basis_error(Basis::exact) == 0);
  for (std::size_t i = 1; i < kStrongestFirst.size(); ++i) {
    CHECK(basis_error(kStrongestFirst[i]) > basis_error(kStrongestFirst[i - 1]));
    CHECK(weaker(kStrongestFirst[i], kStrongestFirst[i - 1]) == kStrongestFirst[i]);
    CHECK(weaker(kStrongestFirst[i - 1], kStrongestFirst[i]) == kStrongestFirst[i]);
  }
}

TEST_CASE("The band lies around the value by the error of its basis, also below zero") {
  for (const double value : {20.0, -20.0}) {
    const Metric metric = metric_of(value, "s", Basis::calibrated);
    const double spread = 20 * basis_error(Basis::calibrated);
    CHECK(metric.low == value - spread);
    CHECK(metric.high == value + spread);
    CHECK(metric.low < metric.high);
    CHECK(metric.unit == "s");
  }
}

TEST_CASE("An exact figure has no band") {
  const Metric metric = metric_of(3, "B", Basis::exact);
  CHECK(metric.low == 3);
  CHECK(metric.high == 3);
}
