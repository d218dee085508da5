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
  const auto measured = [&](const std::string& lines) {
    write_file(folder / "m.csv", "metric,value\n" + lines);
    return "--measured " + (folder / "m.csv");
  };
  refused(measured("step_tme,1 ms\n"), "m.csv:2:1: metric: unknown metric \"step_tme\"");
  refused(measured("step_time,12.3\n"), "value: \"12.3\" has no unit");
  refused(measured(""), "holds no measured point");
  refused("--set faults='[{\"kind\":\"nic_lost\",\"rank\":3}]'", "windows");
}

TEST_CASE("rebalancing follows a trace that drifts, and its cost is told") {
  const TemporaryFolder folder;
  const std::string scenario = test::source_dir() + "/scenarios/rebalance.json";
  const Outcome outcome =
      run_program("run " + scenario + " --out " + (folder / "r") +
                  " --set model=olmoe-1b-7b --set cluster.nodes=1 --set plan.expert_parallel=8 "
                  "--set plan.redundant_experts=8 --set workload.trace.synthetic.like=olmoe "
                  "--set workload.trace.synthetic.tokens=8192 --set workload.windows=4 "
                  "--set workload.trace.synthetic.domains='[{\"at\":0,\"mix\":{\"github\":1}},"
                  "{\"at\":0.6,\"mix\":{\"wikipedia\":1}}]' --set plan.precision='{}' "
                  "--set vary='{\"plan.rebalance\":[\"never\",{\"every\":1,"
                  "\"host_time\":\"10 ms\",\"layers_per_chunk\":4}]}'");
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.output.find("pays back") != std::string::npos);
  const StudyResult study =
      study_result_from_json(nlohmann::json::parse(read_text_file(folder / "r/result.json")));
  REQUIRE(study.points.size() == 2);
  const PointResult& never = study.points[0];
  const PointResult& always = study.points[1];
  CHECK(never.rebalances.empty());
  REQUIRE(always.rebalances.size() == 3);
  double moved = 0;
  for (const RebalanceResult& one : always.rebalances) {
    CHECK(one.steps == 4);  // 16 layers, 4 a chunk
    CHECK(one.host == doctest::Approx(0.01));
    CHECK(one.migration >= 0);
    CHECK(one.moved_bytes == doctest::Approx(one.replicas * 3 * 2048 * 1024 * 2));  // of one expert
    moved += one.replicas;
  }
  CHECK(moved > 0);
  CHECK(always.rebalances.back().migration > 0);
  // The last window is wikipedia alone, as the one before: a plan made on that beats one for code.
  const double stale = never.windows.back().step_time, fresh = always.windows.back().step_time;
  CHECK(always.rebalances.back().after == doctest::Approx(fresh));
  CHECK(fresh < stale);
  CHECK(never.windows.front().step_time == always.windows.front().step_time);
}
