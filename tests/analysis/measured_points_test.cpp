// Measured points beside predicted ones: figures that follow from tests/analysis/sample_study.h.
#include "analysis/compare/measured_points.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "tests/analysis/sample_study.h"

namespace moesim {

TEST_CASE("a measured point is told beside the prediction of the plan in use") {
  const StudyResult study = sample_study();  // 1.5 ms and 1.9 ms
  const PointResult& in_use = study.points[1];
  const auto lines = measured_lines(in_use, {{"step_time", 2e-3}, {"dispatch", 160e-6}});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "step_time of contiguous: 2.00 ms measured, 1.90 ms predicted (-5.0 %)");
  CHECK(lines[1] == "dispatch of contiguous: 160 us measured, 200 us predicted (+25.0 %)");
  CHECK_THROWS_WITH_AS(measured_lines(in_use, {{"step_tim", 1}}),
                       doctest::Contains("did you mean \"step_time\""), InputError);
}

TEST_CASE("the change to another plan scales the measured point, with a band") {
  const StudyResult study = sample_study();
  const PointResult &in_use = study.points[1], &other = study.points[0];
  // 400 us less of 1.9 ms, all in one part, which is off by up to the basis' error.
  const double error = basis_error(Basis::calibrated);
  const std::string line = change_line(in_use, other, {{"step_time", 2e-3}});
  char expected[200];
  std::snprintf(expected, sizeof expected,
                "eplb: step time x %.3f (%.3f to %.3f), 1.58 ms of the 2.00 ms measured",
                1 - 0.4 / 1.9, 1 - 0.4 * (1 + error) / 1.9, 1 - 0.4 * (1 - error) / 1.9);
  CHECK(line == std::string(expected));
}

}  // namespace moesim
