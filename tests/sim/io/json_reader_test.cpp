#include "sim/io/json_reader.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

using namespace moesim;

namespace {

// The message of the InputError that `act` throws.
template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("A value knows its line, column and key") {
  const auto root = read_json_text(
      "{\n  \"plan\": {\"expert_parallel\": 16,\n   \"list\": [1, \"two\"]}}", "x.json");
  const auto value = root.at("plan").at("expert_parallel");
  CHECK(value.where().line == 2);
  CHECK(value.where().column == 31);
  CHECK(value.where().key == "plan.expert_parallel");
  const auto two = root.at("plan").at("list").items()[1];
  CHECK(two.where().line == 3);
  CHECK(two.where().column ==
        16);  // `   "list": [1, "two"]`: the quote of "two" is the 16th letter
  CHECK(two.as_string() == "two");
}

TEST_CASE("A duplicate key is refused at its second place") {
  CHECK(error_of([] { read_json_text("{\"a\": 1,\n \"a\": 2}", "x.json"); }) ==
        "x.json:2:2: a: duplicate key");
}

TEST_CASE("A syntax error names line and column") {
  const std::string message = error_of([] { read_json_text("{\n \"a\": 1,\n}", "x.json"); });
  CHECK(message.find("x.json:3:1: not valid JSON") == 0);
}

TEST_CASE("An empty text is refused") {
  CHECK(error_of([] { read_json_text("", "x.json"); }).find("x.json:1:1: not valid JSON") == 0);
}

TEST_CASE("An unknown key is answered with the nearest valid one") {
  const auto root = read_json_text("{\"placment\": \"eplb\"}", "x.json");
  const std::string message = error_of([&] { root.allow_only({"placement", "precision"}); });
  CHECK(message ==
        "x.json:1:14: placment: unknown key; did you mean \"placement\"? Valid: placement, "
        "precision");
}

TEST_CASE("Keys that begin with an underscore are comments") {
  CHECK_NOTHROW(read_json_text("{\"_source\": 1, \"$schema\": \"s\"}", "x").allow_only({}));
}

TEST_CASE("A bare number where a quantity belongs is answered with the spelling to use") {
  const auto root = read_json_text("{\"nic\": 400, \"memory\": \"80 GiBi\"}", "x.json");
  CHECK(
      error_of([&] { root.at("nic").as_bytes_per_second(); }) ==
      "x.json:1:9: nic: a bandwidth needs its unit: write a string such as \"400 Gb/s\", not 400");
  CHECK(error_of([&] { root.at("memory").as_bytes(); }).find("has the unknown unit \"GiBi\"") !=
        std::string::npos);
}

TEST_CASE("A whole number outside its range names the range") {
  const auto root =
      read_json_text("{\"n\": 17, \"big\": 18446744073709551615, \"half\": 0.5}", "x");
  CHECK(root.at("n").as_int(1, 17) == 17);
  CHECK(error_of([&] {
          root.at("n").as_int(1, 16);
        }).find("17 is out of range; allowed: 1 to 16") != std::string::npos);
  CHECK(error_of([&] { root.at("big").as_int(0, INT64_MAX); }).find("out of range") !=
        std::string::npos);
  CHECK(error_of([&] { root.at("half").as_int(0, 1); }).find("must be a whole number") !=
        std::string::npos);
}

TEST_CASE("Nesting beyond 64 levels is refused, not recursed into") {
  CHECK(error_of([] {
          read_json_text(std::string(100000, '['), "x");
        }).find("nested deeper than 64") != std::string::npos);
}

TEST_CASE("A replaced value reports the place it came from, its neighbours their own") {
  const auto file = read_json_text("{\"plan\": {\"placement\": \"a\",\n \"ep\": 8}}", "x.json");
  const auto argument = read_json_text("{\"b\": [1, 2]}", "--set");
  const auto root = file.with("plan.placement", argument.at("b"))
                        .with("plan.precision.experts", argument.at("b"));
  CHECK(root.at("plan").at("placement").items()[1].as_int(0, 9) == 2);
  CHECK(root.at("plan").at("placement").items()[1].where().file == "--set");
  CHECK(root.at("plan").at("ep").where().file == "x.json");
  CHECK(root.at("plan").at("ep").where().line == 2);
  CHECK(root.at("plan").at("precision").at("experts").is_array());
  CHECK(file.at("plan").at("placement").as_string() == "a");
  CHECK(error_of([&] {
          (void)file.with("plan.ep.x", argument.at("b"));
        }).find("plan.ep is no object") != std::string::npos);
}
