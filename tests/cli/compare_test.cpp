// moesim compare as a user runs it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/result/result.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::kFirstRun;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

TEST_CASE("compare ranks strategies over windows and writes placements to deploy") {
  const TemporaryFolder folder;
  const std::string line = "compare " + kFirstRun +
                           " --strategies contiguous,eplb --windows 4 --set workload.steps=1 "
                           "--out " +
                           (folder / "c");
  const Outcome outcome = run_program(line);
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.output.find("eplb beats contiguous in ") != std::string::npos);
  CHECK(outcome.output.find(" of 4 windows") != std::string::npos);
  CHECK(outcome.output.find("From contiguous to eplb:") != std::string::npos);
  const StudyResult study =
      study_result_from_json(nlohmann::json::parse(read_text_file(folder / "c/result.json")));
  REQUIRE(study.points.size() == 2);
  for (const PointResult& point : study.points) {
    REQUIRE(point.windows.size() == 4);
    double mean = 0;
    for (const WindowResult& window : point.windows) {
      mean += window.step_time / 4;
      CHECK(window.ranks_per_token >= window.nodes_per_token);
      CHECK(window.nodes_per_token >= 1);
      CHECK(window.ranks_per_token <= 4);  // gpt-oss-20b chooses 4 experts a token
      CHECK(window.balancedness.size() == point.placement.size());
    }
    CHECK(mean == doctest::Approx(find_metric(point, "step_time")->value).epsilon(1e-9));
    const auto mapping =
        nlohmann::json::parse(read_text_file(folder / ("c/placements/" + point.label + ".json")));
    CHECK(mapping.at("physical_to_logical_map").size() >= point.placement.size());
    CHECK(mapping.at("physical_to_logical_map")[0].size() == 48);
  }
  const std::string before = read_text_file(folder / "c/result.json");
  REQUIRE(run_program(line + " --jobs 1").code == 0);
  CHECK(read_text_file(folder / "c/result.json") == before);
}

TEST_CASE("compare says what it cannot compare") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& more, const std::string& why) {
    const Outcome outcome =
        run_program("compare " + kFirstRun + " --out " + (folder / "x") + " " + more);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(outcome.output.find(why) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "x"));
  };
  refused("--strategies eplb,contiguos", "contiguous");
  refused("--windows 0", "--windows");
  refused("--set faults='[{\"kind\":\"nic_lost\",\"rank\":3}]'", "windows");
}
