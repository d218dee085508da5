// What spans a study: which points there are, in which order, and what is refused.
#include "sim/scenario/study_axes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

using namespace moesim;

namespace {

std::vector<StudyAxis> axes_of(const std::string& text) {
  return read_study_axes(read_json_text(text, "s.json"));
}

std::string refusal(const std::string& text) {
  try {
    axes_of(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

void check_refused(const std::string& text, const std::vector<std::string>& parts) {
  const std::string said = refusal(text);
  CAPTURE(text);
  CAPTURE(said);
  for (const std::string& part : parts) CHECK(said.find(part) != std::string::npos);
}

std::string sample_of(int points, const std::string& range) {
  return R"({"sample": {"points": )" + std::to_string(points) + R"(, "axes": {"x": )" + range +
         "}}}";
}

}  // namespace

TEST_CASE("vary gives an axis a key, zip one axis, sample one, and repeat the fastest") {
  const auto axes = axes_of(R"({"vary": {"b": [1, 2], "a": ["x"]},
    "zip": {"c": [1, 2, 3], "d": ["p", "q", "r"]},
    "sample": {"points": 4, "axes": {"e": {"from": 0, "to": 1}}}, "repeat": 2, "seed": 5})");
  REQUIRE(axes.size() == 5);
  CHECK(axes[0].keys == std::vector<std::string>{"a"});
  CHECK(axes[1].keys == std::vector<std::string>{"b"});
  CHECK(axes[2].keys == std::vector<std::string>{"c", "d"});
  REQUIRE(axes[2].values.size() == 3);
  for (std::size_t step = 0; step < 3; ++step) {
    CHECK(axes[2].values[step][0].json() == static_cast<int>(step) + 1);
    CHECK(axes[2].values[step][1].json() == std::string(1, "pqr"[step]));
  }
  CHECK(axes[3].values.size() == 4);
  CHECK(axes[4].keys == std::vector<std::string>{"seed"});
  REQUIRE(axes[4].values.size() == 2);
  CHECK(axes[4].values[0][0].json() == 5);
  CHECK(axes[4].values[1][0].json() == 6);
}

TEST_CASE("A scenario without axes is one point") { CHECK(axes_of(R"({"seed": 3})").empty()); }

TEST_CASE("Sampled integers are whole, within their ends, and each as often as the others") {
  const auto axes = axes_of(sample_of(50, R"({"from": 3, "to": 7, "integer": true})"));
  std::map<int, int> count;
  for (const auto& step : axes[0].values) {
    REQUIRE(step[0].json().is_number_integer());
    ++count[step[0].json().get<int>()];
  }
  CHECK(count.size() == 5);
  for (int value = 3; value <= 7; ++value) CHECK(count[value] == 10);  // 50 strata over 5 integers
}

TEST_CASE("A logarithmic axis has as many points in every octave") {
  const auto axes = axes_of(sample_of(40, R"({"from": 1, "to": 16, "log": true})"));
  std::map<int, int> octave;
  for (const auto& step : axes[0].values)
    ++octave[static_cast<int>(std::floor(std::log2(step[0].json().get<double>())))];
  CHECK(octave.size() == 4);
  for (int i = 0; i < 4; ++i) CHECK(octave[i] == 10);
}

TEST_CASE("A unit turns sampled numbers into quantities") {
  const auto axes = axes_of(sample_of(3, R"({"from": 100, "to": 200, "unit": "Gb/s"})"));
  for (const auto& step : axes[0].values) {
    const double rate = step[0].as_bytes_per_second().value;
    CHECK(rate >= 100e9 / 8);
    CHECK(rate <= 200e9 / 8);
  }
}

TEST_CASE("A sample follows the scenario's seed unless it has its own") {
  const auto values = [](const std::string& seeds) {
    const auto axes = axes_of("{" + seeds + R"("axes": {"x": {"from": 0, "to": 1}}}})");
    return axes[0].values[0][0].json();
  };
  const auto first = values(R"("seed": 1, "sample": {"points": 9, )");
  CHECK(first == values(R"("sample": {"points": 9, )"));
  CHECK(first != values(R"("seed": 2, "sample": {"points": 9, )"));
  CHECK(first == values(R"("seed": 2, "sample": {"points": 9, "seed": 1, )"));
}

TEST_CASE("A sampled value reports the place of its range") {
  const auto axes = axes_of(
      "{\n\"sample\": {\"points\": 2, \"axes\": {\n\"x\": {\"from\": 1, "
      "\"to\": 2}}}}");
  const Location where = axes[0].values[0][0].where();
  CHECK(where.file == "s.json");
  CHECK(where.line == 3);
}

TEST_CASE("Lists of zip that differ in length are refused with both lengths") {
  check_refused(R"({"zip": {"a": [1, 2, 3],
 "b": [1, 2]}})",
                {"s.json:2:7: zip.b", "2 values", "\"a\" has 3"});
}

TEST_CASE("A key, or part of it, belongs to one axis") {
  check_refused(R"({"vary": {"a": [1]}, "zip": {"a": [1]}})", {"zip.a", "\"a\"", "vary.a"});
  check_refused(R"({"vary": {"plan": [{}], "plan.placement": ["eplb"]}})",
                {"vary.plan.placement", "part of", "vary.plan"});
  check_refused(R"({"zip": {"x.y": [1]}, "sample": {"points": 2,
    "axes": {"x": {"from": 1, "to": 2}}}})",
                {"sample.axes.x", "zip.x.y"});
  check_refused(R"({"vary": {"seed": [1, 2]}, "repeat": 2})", {"repeat", "\"seed\"", "vary.seed"});
  check_refused(R"({"vary": {"repeat": [1, 2]}})", {"vary.repeat", "\"repeat\" is none"});
  CHECK(refusal(R"({"vary": {"plan.place": [1], "plan.placement": [1]}})").empty());
}

TEST_CASE("Too many points are refused before any is made") {
  check_refused(sample_of(1000000000, R"({"from": 0, "to": 1})"),
                {"sample.points", "1000000000 is out of range", "1 to 100000"});
  check_refused(R"({"vary": {"a": [1, 2]}, "sample": {"points": 60000,
    "axes": {"x": {"from": 0, "to": 1}}}})",
                {"sample.points", "100000 points", "60000 here times 2"});
  check_refused(R"({"repeat": 1000000})", {"repeat", "1 to 1000"});
}

TEST_CASE("Wrong types, ends and names are refused where they stand") {
  check_refused(R"({"zip": {"a": 3}})", {"zip.a", "must be a list"});
  check_refused(R"({"zip": {}})", {"zip", "at least one key"});
  check_refused(R"({"zip": {"a": []}})", {"zip.a", "at least one value"});
  check_refused(R"({"repeat": "5"})", {"repeat", "whole number", "\"5\""});
  check_refused(sample_of(2, R"({"from": 5, "to": 5})"), {"sample.axes.x.to", "5 must be above"});
  check_refused(sample_of(2, R"({"from": 0, "to": 5, "log": true})"),
                {"sample.axes.x.from", "0 has no logarithm"});
  check_refused(sample_of(2, R"({"from": 0.5, "to": 5, "integer": true})"),
                {"sample.axes.x.from", "whole number", "0.5"});
  check_refused(sample_of(2, R"({"from": 0, "two": 5})"),
                {"sample.axes.x.two", "did you mean \"to\""});
  check_refused(R"({"sample": {"point": 2, "axes": {}}})",
                {"sample.point", "did you mean \"points\""});
}
