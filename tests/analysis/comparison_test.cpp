// Who wins, by how much, and how sure: with figures that follow from tests/analysis/sample_study.h.
#include "analysis/compare/comparison.h"

#include <doctest/doctest.h>

#include "analysis/metrics/metric_text.h"
#include "tests/analysis/sample_study.h"

namespace moesim {
namespace {

TEST_CASE("the shortest step wins by the ratio of the step times") {
  StudyResult study = sample_study();
  std::swap(study.points[0], study.points[1]);
  const auto comparisons = compare_points(study);
  REQUIRE(comparisons.size() == 1);
  CHECK(comparisons[0].better == 1);
  CHECK(comparisons[0].other == 0);
  CHECK(comparisons[0].ratio == doctest::Approx(1.9 / 1.5));
  CHECK(comparisons[0].main_part == "expert_ffn");
  CHECK(comparisons[0].main_saving == doctest::Approx(400e-6));
  CHECK(
      comparison_text(study, comparisons[0]) ==
      "eplb is 1.27x faster than contiguous: 1.50 ms against 1.90 ms a step; most of it in expert "
      "FFN (400 us less).");
}

TEST_CASE("a part that saves less than half of the difference is not most of it") {
  StudyResult study = sample_study();
  study.points[1].metrics[0].metric.value = 2.5e-3;
  study.points[1].metrics[5].metric.value = 128 / 2.5e-3;
  const Comparison comparison = compare_points(study)[0];
  CHECK(comparison_text(study, comparison).find("; the largest part in expert FFN (400 us less)") !=
        std::string::npos);
}

TEST_CASE("overlapping bands make the factor uncertain, a traded part the order too") {
  StudyResult study =
      sample_study();  // 1.5 ms + 20 % = 1.8 ms reaches over 1.9 ms - 20 % = 1.52 ms
  Comparison comparison = compare_points(study)[0];
  CHECK(comparison.bands_overlap);
  const double error = basis_error(study.points[0].metrics[0].metric.basis);
  CHECK(comparison.least_saving == doctest::Approx(400e-6 * (1 - error)));
  CHECK(certainty_text(study, comparison).find("the order is firmer") != std::string::npos);

  study.points[0].breakdown[1].second += 390e-6;  // dispatch of the winner is now longer
  comparison = compare_points(study)[0];
  CHECK(comparison.least_saving == doctest::Approx(400e-6 * (1 - error) - 390e-6 * (1 + error)));
  CHECK(certainty_text(study, comparison).find("trade one part") != std::string::npos);
}

TEST_CASE("bands that lie apart leave nothing to say") {
  StudyResult study = sample_study();
  for (PointResult& point : study.points) {
    Metric& metric = point.metrics[0].metric;
    metric.low = 0.9 * metric.value;   // 1.5 ms + 10 % = 1.65 ms,
    metric.high = 1.1 * metric.value;  // 1.9 ms - 10 % = 1.71 ms
  }
  const Comparison comparison = compare_points(study)[0];
  CHECK_FALSE(comparison.bands_overlap);
  CHECK(certainty_text(study, comparison).empty());
}

TEST_CASE("plans within half a percent are equal") {
  StudyResult study = sample_study();
  study.points[1].metrics[0].metric.value = 1.504e-3;        // 0.27 % above 1.5 ms
  study.points[1].metrics[5].metric.value = 128 / 1.504e-3;  // the same work a step
  const Comparison comparison = compare_points(study)[0];
  CHECK(comparison_text(study, comparison) ==
        "eplb and contiguous are equal: 1.50 ms against 1.50 ms a step.");
  CHECK(certainty_text(study, comparison).empty());
}

TEST_CASE("plans with unequal work a step are judged by throughput") {
  StudyResult study = sample_study();
  // Twice the tokens in a step that takes 1.9 / 1.5 of the time: 2 / (1.9 / 1.5) = 1.58 times.
  study.points[1].metrics[5].metric = metric_of(256 / 1.9e-3, "1/s", Basis::calibrated);
  const Comparison comparison = compare_points(study)[0];
  CHECK(comparison.by_throughput);
  CHECK(comparison.better == 1);
  CHECK(comparison.ratio == doctest::Approx(2 * 1.5 / 1.9));
  CHECK(comparison_text(study, comparison) ==
        "contiguous yields 1.58x the tokens per second and GPU of eplb: 134737/s against 85333/s.");
}

TEST_CASE("plans that did not run are not compared") {
  StudyResult study = sample_study();
  study.points[1] = sample_point_out_of_memory();
  CHECK(compare_points(study).empty());
  CHECK(best_point(study) == 0);
  study.points.erase(study.points.begin());
  CHECK_FALSE(best_point(study).has_value());
}

TEST_CASE("figures read as people write them") {
  CHECK(quantity_text(48.1e-6, "s") == "48.1 us");
  CHECK(quantity_text(12.3 * kSampleGiB, "B") == "12.3 GiB");
  CHECK(quantity_text(0.73, "1") == "0.730");
  CHECK(quantity_text(85333.3, "1/s") == "85333/s");
  CHECK(kind_text("expert_ffn") == "expert FFN");
  CHECK(kind_text("kv_cache") == "KV cache");
}

}  // namespace
}  // namespace moesim
