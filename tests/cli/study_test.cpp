// Studies as users run them: axes of every kind, runs that are killed, that meet in a folder, and
// that share the points.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "sim/result/result.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_command;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

// One node, a trace drawn once, steps of a few layers: a point takes some hundredths of a second.
void write_scenario(const TemporaryFolder& folder, const std::string& axes) {
  write_file(folder / "small.json", R"({
  "name": "small", "model": "reference",
  "cluster": { "preset": "h100-ib", "nodes": 1 },
  "workload": {
    "trace": { "synthetic": { "like": "olmoe", "tokens": 512 } },
    "phase": "decode", "requests_per_rank": 8, "context": 1024, "steps": 1 },
  "plan": { "placement": "contiguous", "all_to_all": "deepep_low_latency" },
)" + axes + "}\n");
}

// `count` points that differ in their context.
std::string contexts(int count) {
  nlohmann::json values;
  for (int i = 0; i < count; ++i) values.push_back(1000 + i);
  return R"("vary": {"workload.context": )" + values.dump() + "}";
}

std::string program() {
  return (fs::read_symlink("/proc/self/exe").parent_path() / "moesim").string();
}

std::string run_of(const TemporaryFolder& folder, const std::string& out) {
  return "run " + (folder / "small.json") + " --out " + (folder / out);
}

StudyResult read_study(const std::string& out) {
  return study_result_from_json(nlohmann::json::parse(read_text_file(out + "/result.json")));
}

// Content by file name, of everything but wall times.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != "run.json")
      files[fs::relative(entry.path(), folder).string()] = read_text_file(entry.path().string());
  return files;
}

std::size_t whole_points(const std::string& out) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(out + "/points")) {
    if (entry.path().extension() != ".json") continue;
    CAPTURE(entry.path().string());
    CHECK_NOTHROW(
        point_result_from_json(nlohmann::json::parse(read_text_file(entry.path().string()))));
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("A run killed in the middle keeps whole points, and the next computes only the rest") {
  const TemporaryFolder folder;
  write_scenario(folder, contexts(60));
  const std::string points = folder / "out/points";
  run_command("setsid " + program() + " " + run_of(folder, "out") +
              " --jobs 2 >/dev/null 2>&1 </dev/null & run=$!; while [ $(ls " + points +
              " 2>/dev/null | wc -l) -lt 8 ]; do sleep 0.01; done; kill -9 -$run; wait $run");
  const std::size_t kept = whole_points(folder / "out");
  REQUIRE(kept >= 8);
  REQUIRE(kept < 60);
  CHECK(!fs::exists(folder / "out/result.json"));
  const Outcome again = run_program(run_of(folder, "out") + " --jobs 2");
  INFO(again.output);
  REQUIRE(again.code == 0);
  CHECK(again.output.find("point 1 of " + std::to_string(60 - kept) + " done") !=
        std::string::npos);
  REQUIRE(run_program(run_of(folder, "whole") + " --jobs 1").code == 0);
  CHECK(read_text_file(folder / "out/result.json") == read_text_file(folder / "whole/result.json"));
}

TEST_CASE("Points of one worker are the same bytes in any order and on any number of jobs") {
  const TemporaryFolder folder;
  write_scenario(folder, contexts(6));
  REQUIRE(run_program(run_of(folder, "one") + " --jobs 1").code == 0);
  REQUIRE(run_program(run_of(folder, "two") + " --jobs 2").code == 0);
  CHECK(contents(folder / "one") == contents(folder / "two"));
  // The last point alone, in a process that has run nothing before.
  REQUIRE(run_program(run_of(folder, "last") + " --jobs 1 --set vary=null "
                                               "--set workload.context=1005")
              .code == 0);
  PointResult among = read_study(folder / "one").points.at(5);
  PointResult alone = read_study(folder / "last").points.at(0);
  alone.varied = among.varied;
  alone.label = among.label;
  CHECK(to_json(alone).dump() == to_json(among).dump());
}

TEST_CASE("Two runs into the same folder at once leave what one leaves") {
  const TemporaryFolder folder;
  write_scenario(folder, contexts(12));
  const std::string both = program() + " " + run_of(folder, "both") + " --jobs 1 >/dev/null 2>&1";
  CHECK(run_command(both + " & " + both + "; second=$?; wait $! && exit $second").code == 0);
  REQUIRE(run_program(run_of(folder, "one")).code == 0);
  CHECK(contents(folder / "both") == contents(folder / "one"));
}

TEST_CASE("Shards share the points, and the last to end writes what one run would") {
  const TemporaryFolder folder;
  write_scenario(folder, contexts(12));
  const auto shard = [&](int i) {
    return program() + " " + run_of(folder, "shards") + " --jobs 1 --shard " + std::to_string(i) +
           "/3 >/dev/null 2>&1";
  };
  CHECK(run_command(shard(1) + " & " + shard(2) + " & " + shard(3) + "; wait").code == 0);
  REQUIRE(run_program(run_of(folder, "one")).code == 0);
  CHECK(contents(folder / "shards") == contents(folder / "one"));
}

TEST_CASE("A shard leaves alone what another has claimed, and takes over what was abandoned") {
  const TemporaryFolder folder;
  write_scenario(folder, contexts(3));
  REQUIRE(run_program(run_of(folder, "one")).code == 0);
  const std::string key = read_study(folder / "one").points.at(1).key;
  const std::string claim = folder / ("out/points/" + key + ".claim");
  fs::create_directories(folder / "out/points");
  write_file(claim, "another machine\n1\n1\n");
  const Outcome first = run_program(run_of(folder, "out") + " --shard 1/1");
  INFO(first.output);
  CHECK(first.code == 0);
  CHECK(first.output.find("1 of 3 points are still with other runs") != std::string::npos);
  CHECK(!fs::exists(folder / "out/result.json"));
  fs::last_write_time(claim, fs::last_write_time(claim) - std::chrono::hours(1));
  CHECK(run_program(run_of(folder, "out") + " --shard 1/1").code == 0);
  CHECK(contents(folder / "out") == contents(folder / "one"));
}

TEST_CASE("A shard that is none is refused") {
  const TemporaryFolder folder;
  write_scenario(folder, contexts(1));
  for (const char* shard : {"0/2", "3/2", "1", "1/", "a/b", "-1/2", "1/2x", "1/-2"}) {
    const Outcome outcome = run_program(run_of(folder, "out") + " --shard=" + shard);
    CAPTURE(shard);
    CHECK(outcome.code == 2);
    CHECK(outcome.output.find("i/n with i from 1 to n") != std::string::npos);
  }
}

TEST_CASE("zip walks its lists together, and sample and repeat span the rest") {
  const TemporaryFolder folder;
  write_scenario(folder, R"("zip": {"plan.redundant_experts": [0, 16], "workload.context": [1, 2]},
  "vary": {"plan.placement": ["contiguous", "eplb"]}, "repeat": 2)");
  const Outcome outcome = run_program("check " + (folder / "small.json"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.output.find("small: 8 points") != std::string::npos);
  CHECK(outcome.output.find("  plan.placement = contiguous  plan.redundant_experts = 0  "
                            "workload.context = 1  seed = 1\n"
                            "  plan.placement = contiguous  plan.redundant_experts = 0  "
                            "workload.context = 1  seed = 2\n"
                            "  plan.placement = contiguous  plan.redundant_experts = 16  "
                            "workload.context = 2  seed = 1\n") != std::string::npos);
}

TEST_CASE("A sampled value that the scenario refuses is reported at its range") {
  const TemporaryFolder folder;
  write_scenario(folder, R"("sample": {"points": 3, "axes": {
    "workload.steps": {"from": 2000, "to": 3000, "integer": true}}})");
  const Outcome outcome = run_program("check " + (folder / "small.json"));
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  CHECK(outcome.output.find("small.json:9:23: workload.steps: ") != std::string::npos);
  CHECK(outcome.output.find("allowed: 1 to 1000") != std::string::npos);
}

TEST_CASE("Repeats give means with their interval in the summary, a table and the report") {
  const TemporaryFolder folder;
  write_scenario(folder, R"("vary": {"plan.placement": ["contiguous", "eplb"]}, "repeat": 3)");
  const std::string spread =
      " --set workload.context='{\"lognormal\":{\"median\":1024,\"sigma\":1}}'";
  const Outcome outcome = run_program(run_of(folder, "out") + spread);
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const StudyResult study = read_study(folder / "out");
  REQUIRE(study.points.size() == 6);
  CHECK(study.points[1].label == "contiguous, seed 2");
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) sum += find_metric(study.points[i], "step_time")->value;
  CHECK(find_metric(study.points[0], "step_time")->value !=
        find_metric(study.points[1], "step_time")->value);
  const std::string csv = read_text_file(folder / "out/repeats.csv");
  const std::string row = "contiguous,contiguous,step_time,s,3,";
  REQUIRE(csv.find(row) != std::string::npos);
  CHECK(std::stod(csv.substr(csv.find(row) + row.size())) == doctest::Approx(sum / 3));
  CHECK(outcome.output.find("contiguous: mean of 3 seeds and its 95 % interval") !=
        std::string::npos);
  CHECK(read_text_file(folder / "out/report.html").find("Over the seeds") != std::string::npos);
}
