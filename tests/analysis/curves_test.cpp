// Curves over the batch: how points are grouped, and where curves cross.
#include <doctest/doctest.h>

#include <cmath>

#include "analysis/analysis.h"
#include "analysis/charts/curves_kit.h"
#include "tests/analysis/sample_study.h"

using namespace moesim;

namespace {

// Dispatch of algorithm "slope" grows with the batch, 1 us a token; of "flat" it is always 20 us.
StudyResult crossing_study(bool largest_fits = true) {
  StudyResult study{"crossing", "c.json", {}};
  for (const std::string algorithm : {"slope", "flat"}) {
    for (const int batch : {64, 8, 32}) {
      PointResult point = sample_point({}, 0);
      point.varied = {{"plan.all_to_all", algorithm},
                      {"workload.requests_per_rank", std::to_string(batch)}};
      point.label = algorithm;
      const double time = algorithm == "flat" ? 20e-6 : batch * 1e-6;
      for (NamedMetric& named : point.metrics) {
        if (named.name == "dispatch") named.metric = metric_of(time, "s", Basis::calibrated);
        if (named.name == "combine") named.metric = metric_of(0, "s", Basis::calibrated);
      }
      if (batch == 64 && !largest_fits) {
        point.ran = false;
        point.metrics.clear();
      }
      study.points.push_back(std::move(point));
    }
  }
  return study;
}

double dispatch_of(const PointResult& point) {
  const Metric* metric = find_metric(point, "dispatch");
  return metric ? metric->value : 0;
}

nlohmann::json option_of(const std::string& chart, const StudyResult& study) {
  return Catalog<ChartPart>::instance().entries().at(chart).part.option(study);
}

}  // namespace

TEST_CASE("Points that differ in more than the batch are on curves of their own, by batch") {
  const StudyResult study = crossing_study();
  const auto curves = curves_over_batch(study);
  REQUIRE(curves.size() == 2);
  CHECK(curves[0].name == "slope");
  CHECK(curves[1].name == "flat");
  REQUIRE(curves[0].points.size() == 3);
  CHECK(curves[0].points[0].along == 8);
  CHECK(curves[0].points[2].along == 64);
}

TEST_CASE("A study that does not vary the batch has no curves") {
  const StudyResult study{"plain", "p.json", {sample_point({}, 0), sample_point({}, 1)}};
  CHECK(curves_over_batch(study).empty());
  CHECK(option_of("throughput_latency", study).is_null());
  CHECK(option_of("crossover", study).is_null());
}

TEST_CASE("Curves that are straight on logarithmic axes cross where they are equal") {
  const StudyResult study = crossing_study();
  const auto curves = curves_over_batch(study);
  const auto crossed = crossings(curves[0], curves[1], dispatch_of);
  REQUIRE(crossed.size() == 1);
  CHECK(crossed[0] == doctest::Approx(20));  // 1 us x 20 tokens = 20 us
  CHECK(crossings(curves[1], curves[1], dispatch_of).empty());
}

TEST_CASE("A crossing next to a point without figures is not made up") {
  StudyResult study = crossing_study();
  for (PointResult& point : study.points)
    if (point.varied[1].second != "64" && point.varied[0].second == "flat") point.metrics.clear();
  const auto curves = curves_over_batch(study);
  CHECK(crossings(curves[0], curves[1], dispatch_of).empty());
}

TEST_CASE("The crossover chart marks the crossing and says it in words") {
  const nlohmann::json option = option_of("crossover", crossing_study());
  CHECK(option["moesim"]["note"].get<std::string>().find("slope and flat cross at 20 tokens") == 0);
  CHECK(option["series"].back()["markLine"]["data"].size() == 1);
  CHECK(option["xAxis"]["type"] == "log");
}

TEST_CASE("The largest batch that fits is hollow, and what does not fit is named") {
  const nlohmann::json option = option_of("throughput_latency", crossing_study(false));
  const nlohmann::json& data = option["series"][2]["data"];
  REQUIRE(data.size() == 2);
  CHECK(data[0]["symbol"] == "circle");
  CHECK(data[1]["symbol"] == "emptyCircle");
  CHECK(option["moesim"]["note"].get<std::string>().find("slope: 64 a rank; flat: 64 a rank") !=
        std::string::npos);
}
