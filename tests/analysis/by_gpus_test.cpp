// Charts and words over the number of GPUs, with an objective and a price: a pool of n GPUs at
// batch b takes b x 1 ms + 10 ms a step (n = 16) or b x 1 ms + 5 ms (n = 32).
#include <doctest/doctest.h>

#include "analysis/analysis.h"
#include "analysis/charts/curves_kit.h"
#include "analysis/compare/comparison.h"
#include "analysis/compare/objective_text.h"
#include "sim/scenario/scenario.h"
#include "sim/study/objectives.h"
#include "tests/analysis/sample_study.h"

using namespace moesim;

namespace {

void set_metric(PointResult& point, const std::string& name, double value, const char* unit) {
  std::erase_if(point.metrics, [&](const NamedMetric& named) { return named.name == name; });
  point.metrics.push_back({name, "", metric_of(value, unit, Basis::calibrated)});
}

StudyResult pools(double most, double price) {
  Scenario scenario;
  scenario.slo = {"time_per_output_token", Seconds(most)};
  scenario.price = {price, "USD"};
  StudyResult study{"pools", "p.json", {}};
  for (const int gpus : {16, 32}) {
    for (const int batch : {8, 16, 32}) {
      PointResult point = sample_point({}, 0);
      point.ranks = gpus;
      point.label = std::to_string(gpus / 8) + " nodes, " + std::to_string(batch);
      // The EP size follows from the nodes: it makes no curve of its own.
      point.varied = {{"cluster.nodes", std::to_string(gpus / 8)},
                      {"plan.expert_parallel", std::to_string(gpus)},
                      {"workload.requests_per_rank", std::to_string(batch)}};
      const double step = batch * 1e-3 + (gpus == 16 ? 10e-3 : 5e-3);
      set_metric(point, "step_time", step, "s");
      set_metric(point, "time_per_output_token", step, "s");
      set_metric(point, "tokens_per_second_per_gpu", batch / step, "1/s");
      add_objectives(scenario, point);
      study.points.push_back(std::move(point));
    }
  }
  return study;
}

nlohmann::json option_of(const std::string& chart, const StudyResult& study) {
  return Catalog<ChartPart>::instance().entries().at(chart).part.option(study);
}

}  // namespace

TEST_CASE("Of several batches a pool shows the most productive within the objective") {
  const StudyResult study = pools(27e-3, 2);
  const auto curves = curves_over_gpus(study);
  REQUIRE(curves.size() == 1);
  REQUIRE(curves[0].points.size() == 2);
  CHECK(curves[0].points[0].along == 16);
  CHECK(curves[0].points[0].point->label == "2 nodes, 16");  // 26 ms; 32 would take 42
  CHECK(curves[0].points[1].point->label == "4 nodes, 16");  // 21 ms; 32 would take 37
}

TEST_CASE("Where no batch keeps the objective the fastest stands for the pool, hollow") {
  const StudyResult study = pools(14e-3, 2);  // 16 GPUs take 18 ms at least, 32 take 13
  const auto curves = curves_over_gpus(study);
  REQUIRE(curves.size() == 1);
  CHECK(curves[0].points[0].point->label == "2 nodes, 8");
  const nlohmann::json option = option_of("throughput_by_gpus", study);
  CHECK(option["series"][0]["data"][0]["symbol"] == "emptyCircle");
  CHECK(option["series"][0]["data"][1]["symbol"] == "circle");
  CHECK(option["moesim"]["note"].get<std::string>().find("misses the objective of 14.0 ms") !=
        std::string::npos);
  CHECK(option["series"].back()["markLine"]["data"][0]["yAxis"] == 14);
}

TEST_CASE("A million tokens cost the price of the GPU-hours they take") {
  const StudyResult study = pools(1, 3.6);
  const Metric* cost = find_metric(study.points.front(), "cost_per_million_tokens");
  REQUIRE(cost != nullptr);
  // 8 tokens in 18 ms a GPU: 444.4 tokens/s, a million in 2250 s, at 0.001 USD a second.
  CHECK(cost->value == doctest::Approx(2.25));
  CHECK(cost->unit == "USD");
  const Metric* rate = find_metric(study.points.front(), "tokens_per_second_per_gpu");
  CHECK(cost->low == doctest::Approx(1e3 / rate->high));
  CHECK(cost->high == doctest::Approx(1e3 / rate->low));
  const nlohmann::json option = option_of("cost_by_gpus", study);
  CHECK(option["yAxis"]["name"] == "USD per million tokens");
  CHECK(option["series"].size() == 3);
  CHECK(option_of("cost_by_gpus", pools(1, 0)).is_null());
}

TEST_CASE("Costs in two currencies share no axis") {
  StudyResult study = pools(1, 2);
  for (NamedMetric& named : study.points.back().metrics)
    if (named.name == "cost_per_million_tokens") named.metric.unit = "EUR";
  CHECK(option_of("cost_by_gpus", study).is_null());
}

TEST_CASE("The objective is answered with the smallest, the best and the cheapest plan") {
  const std::string text = objective_text(pools(27e-3, 2));
  CHECK(text.find("Within 27.0 ms (time per output token): 4 of 6 points; the fewest GPUs are 16 "
                  "(2 nodes, 16: 26.0 ms") == 0);
  CHECK(text.find("most tokens/s per GPU: 4 nodes, 16 (762, 21.0 ms)") != std::string::npos);
  CHECK(text.find("cheapest: 4 nodes, 16 (0.729 USD a million tokens)") != std::string::npos);
  CHECK(objective_text(pools(1e-3, 2)).find("0 of 6 points; the nearest is 4 nodes, 8 with 13.0") !=
        std::string::npos);
  StudyResult plain = pools(1, 2);
  for (PointResult& point : plain.points) point.slo = {};
  CHECK(objective_text(plain).empty());
}

TEST_CASE("The best plan keeps the objective and is compared with those that keep it") {
  const StudyResult study = pools(27e-3, 2);  // 32 requests yield more, too slowly
  REQUIRE(best_point(study).has_value());
  CHECK(study.points[*best_point(study)].label == "4 nodes, 16");
  const auto comparisons = compare_points(study);
  CHECK(comparisons.size() == 3);
  for (const Comparison& comparison : comparisons) {
    CHECK(comparison.ratio >= 1);
    CHECK(meets_slo(study.points[comparison.other]));
  }
  CHECK(compare_points(pools(1e-3, 2)).size() == 5);  // none keeps it: all are compared
}

TEST_CASE("A point beyond memory meets no objective") {
  StudyResult study = pools(1, 2);
  study.points[0].ran = false;
  CHECK_FALSE(meets_slo(study.points[0]));
  CHECK(objective_text(study).find("5 of 6 points") != std::string::npos);
}

TEST_CASE("Exchanges are drawn by the size of the EP group, a panel each") {
  StudyResult study = pools(1, 2);
  CHECK(option_of("exchanges_by_ep", study).is_null());  // no EP group is known
  for (PointResult& point : study.points) point.group_ranks = point.ranks;
  const nlohmann::json option = option_of("exchanges_by_ep", study);
  REQUIRE(option["series"].size() == 6);  // three batches x two directions
  CHECK(option["series"][0]["data"].size() == 2);
  CHECK(option["series"][0]["data"][1][0] == 32);
  CHECK(option["series"][0]["data"][1][1] == 200);  // us
}
