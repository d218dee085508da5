// Repeats: who belongs together, and their statistics against tables and hand arithmetic.
#include "analysis/compare/repeats.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "analysis/analysis.h"
#include "tests/analysis/sample_study.h"

using namespace moesim;

namespace {

// Two plans of three seeds each; step times of plan p and seed s: (p + 1) ms + s x 0.1 ms.
StudyResult repeated_study() {
  StudyResult study{"repeated", "r.json", {}};
  for (int plan = 0; plan < 2; ++plan) {
    for (int seed = 1; seed <= 3; ++seed) {
      PointResult point = sample_point({}, plan);
      point.varied.emplace_back("seed", std::to_string(seed));
      point.label += ", seed " + std::to_string(seed);
      const double step = (plan + 1) * 1e-3 + seed * 1e-4;
      point.metrics.front().metric = {step, "s", 0.9 * step, 1.1 * step, Basis::calibrated};
      point.breakdown.front().second = step;
      study.points.push_back(std::move(point));
    }
  }
  return study;
}

}  // namespace

TEST_CASE("Student's t agrees with the published table") {
  const std::vector<std::pair<std::size_t, double>> table{
      {1, 12.706}, {2, 4.303},  {3, 3.182},  {4, 2.776},  {5, 2.571},  {6, 2.447},  {9, 2.262},
      {10, 2.228}, {15, 2.131}, {20, 2.086}, {29, 2.045}, {30, 2.042}, {60, 2.000}, {120, 1.980}};
  for (const auto& row : table) {
    CAPTURE(row.first);
    CHECK(std::abs(student_t(row.first) - row.second) < 6e-4);
  }
  CHECK(std::abs(student_t(1) - std::tan(0.95 * std::acos(-1.0) / 2)) < 1e-9);  // Cauchy
}

TEST_CASE("Points that differ in their seed alone are repeats of one plan") {
  const auto repeats = find_repeats(repeated_study());
  REQUIRE(repeats.size() == 2);
  CHECK(repeats[0].label == "eplb");
  CHECK(repeats[1].label == "contiguous");
  CHECK(repeats[1].points == std::vector<std::size_t>{3, 4, 5});
}

TEST_CASE("An interval is t times the standard error around the mean") {
  const auto repeats = find_repeats(repeated_study());
  const Spread& spread = repeats[1].spreads.front();
  CHECK(spread.name == "step_time");
  CHECK(spread.count == 3);
  CHECK(spread.mean == doctest::Approx(2.2e-3));
  // 2.1, 2.2 and 2.3 ms: s = 0.1 ms, t of 2 degrees of freedom = sqrt(2) x 0.95 / sqrt(1 - 0.95^2)
  const double t = std::sqrt(2.0) * 0.95 / std::sqrt(1 - 0.95 * 0.95);
  CHECK(spread.half == doctest::Approx(t * 1e-4 / std::sqrt(3.0)));
  CHECK(spread.low() == doctest::Approx(2.2e-3 - spread.half));
}

TEST_CASE("The mean study has a point a plan with mean metrics, bands and parts") {
  const StudyResult means = mean_of_repeats(repeated_study());
  REQUIRE(means.points.size() == 2);
  CHECK(means.points[0].label == "eplb");
  CHECK(means.points[0].varied.size() == 1);
  CHECK(means.points[1].metrics.front().metric.value == doctest::Approx(2.2e-3));
  CHECK(means.points[1].metrics.front().metric.low == doctest::Approx(0.9 * 2.2e-3));
  CHECK(means.points[1].breakdown.front().second == doctest::Approx(2.2e-3));
}

TEST_CASE("Repeats that did not fit memory do not enter the means") {
  StudyResult study = repeated_study();
  study.points[3].ran = false;
  study.points[3].metrics.clear();
  const StudyResult means = mean_of_repeats(study);
  CHECK(means.points[1].ran);
  CHECK(means.points[1].metrics.front().metric.value == doctest::Approx(2.25e-3));
}

TEST_CASE("Nothing repeats where seeds do not vary, or where each plan has one") {
  CHECK(find_repeats({"plain", "p.json", {sample_point({}, 0), sample_point({}, 1)}}).empty());
  StudyResult study = repeated_study();
  study.points = {study.points[0], study.points[4]};
  CHECK(find_repeats(study).empty());
  CHECK(mean_of_repeats(study).points.size() == 2);
  CHECK(repeats_csv(study).empty());
}

TEST_CASE("The table of repeats has a row for each metric of each plan") {
  const std::string csv = repeats_csv(repeated_study());
  CHECK(csv.starts_with("label,plan.placement,metric,unit,seeds,mean,low 95 %,high 95 %\r\n"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 1 + 2 * 6);
  CHECK(csv.find("eplb,eplb,balancedness,1,3,1,1,1\r\n") != std::string::npos);
}
