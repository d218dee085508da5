// Results survive JSON whole, and a wrong result file is refused by the key that is wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "sim/result/result.h"
#include "tests/analysis/sample_study.h"

namespace moesim {
namespace {

std::string message_of(const nlohmann::json& json) {
  try {
    study_result_from_json(json);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a study reads back as it was written, to the last bit") {
  StudyResult study = sample_study();
  study.points.push_back(sample_point_out_of_memory());
  study.points[0].metrics[0].metric.value = 0.1 + 0.2;  // needs all 17 digits
  study.points[0].links[0].bytes = std::numeric_limits<double>::denorm_min();
  study.points[1].faults = {
      {"rank_lost rank 3", 0.02, 4, 0.25, 0.5, 1e9, {4, 1e-3, 5e5}, {8, 2e-3, 2.5e5}, 0.5, "fits"}};
  const std::string text = to_json(study).dump();
  const StudyResult back = study_result_from_json(nlohmann::json::parse(text));
  CHECK(to_json(back).dump() == text);
  CHECK(back.points[0].metrics[0].metric.value == 0.1 + 0.2);
  CHECK(back.points[0].links[0].bytes == std::numeric_limits<double>::denorm_min());
  CHECK(back.points[0].seed == 18446744073709551615ULL);
  CHECK(back.points[0].expert_load == study.points[0].expert_load);
  CHECK(back.points[0].memory.by_rank == study.points[0].memory.by_rank);
  CHECK(back.points[0].varied == study.points[0].varied);
  CHECK(back.points[0].metrics[1].metric.basis == Basis::datasheet);
  CHECK(back.points[2].ran == false);
  REQUIRE(back.points[1].faults.size() == 1);
  CHECK(back.points[1].faults[0].after.steps == 8);
  CHECK(back.points[1].faults[0].memory == "fits");
}

TEST_CASE("the weakest basis is the weakest of all metrics") {
  PointResult point = sample_point({}, 0);
  CHECK(weakest_basis(point) == Basis::datasheet);
  point.metrics.resize(1);
  CHECK(weakest_basis(point) == Basis::calibrated);
  CHECK(find_metric(point, "step_time")->value == point.metrics[0].metric.value);
  CHECK(find_metric(point, "dispatch") == nullptr);
}

TEST_CASE("a wrong result is refused with the key") {
  const nlohmann::json whole = to_json(sample_study());
  auto wrong = [&whole](const std::string& pointer, const nlohmann::json& value) {
    nlohmann::json json = whole;
    json[nlohmann::json::json_pointer(pointer)] = value;
    return message_of(json);
  };
  CHECK(message_of(whole).empty());
  CHECK(wrong("/points/1/label", 3) == "points[1].label: should be a text, is number");
  CHECK(wrong("/points/0/metrics/0/metric/low", "1 s") ==
        "points[0].metrics[0].metric.low: should be a number, is string");
  CHECK(wrong("/points/0/ranks", 2.5) == "points[0].ranks: should be a whole number, is number");
  CHECK(wrong("/points/0/ranks", 4294967296) == "points[0].ranks: 4294967296 is out of range");
  CHECK(wrong("/points/0/ranks_detail/0/copies", -1) ==
        "points[0].ranks_detail[0].copies: -1 is out of range");
  CHECK(wrong("/points/0/ran", 1) == "points[0].ran: should be true or false, is number");
  CHECK(wrong("/points/0/varied/0", {"a"}) ==
        "points[0].varied[0]: should be an array of two, is array");
  CHECK(wrong("/points/0/memory", nullptr) == "points[0].memory: should be an object, is null");
  CHECK(
      wrong("/points/0/metrics/0/metric/basis", "calibratd").find("did you mean \"calibrated\"") !=
      std::string::npos);
  CHECK(wrong("/points/1/schema_version", 99).find("points[1].schema_version: is 99") == 0);
  CHECK(wrong("/schema_version", 1).find("schema_version: is 1, this program reads version 3") ==
        0);
}

TEST_CASE("a missing key is named") {
  nlohmann::json json = to_json(sample_study());
  json["points"][0]["memory"].erase("verdict");
  CHECK(message_of(json) == "points[0].memory.verdict: is missing");
  CHECK(message_of(nlohmann::json::array()) == "result: should be an object, is array");
}

TEST_CASE("a number that is not finite is never written") {
  StudyResult study = sample_study();
  study.points[1].breakdown[0].second = std::nan("");
  CHECK_THROWS_WITH_AS(to_json(study), "result: points[1].breakdown[0][1] is not a finite number",
                       CheckError);
}

}  // namespace
}  // namespace moesim
