// Pipelines and context parallelism as a user asks for them: a study, its timeline, a search, a
// deployment, and what is refused where.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/result/result.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;
using nlohmann::json;

namespace {

constexpr const char* kDecode = R"("phase": "decode", "requests_per_rank": 8, "context": 1024)";
constexpr const char* kPrefill = R"("phase": "prefill", "tokens_per_rank": 512)";

std::string write_scenario(const TemporaryFolder& folder,
                           const std::string& more = "",
                           const std::string& workload = kDecode) {
  const std::string path = folder / (workload == kDecode ? "decode.json" : "prefill.json");
  write_file(path, R"({
  "name": "small", "model": "reference", "shapes_from": "gpt-oss-20b",
  "cluster": { "preset": "h100-ib", "nodes": 2 },
  "workload": {
    "trace": { "synthetic": { "like": "olmoe", "tokens": 1024 } }, "steps": 2, )" +
                       workload + R"( },
  "plan": { "pipeline_parallel": 2, "placement": "contiguous",
            "all_to_all": "deepep_low_latency" })" +
                       more + "}\n");
  return path;
}

StudyResult study_in(const std::string& folder) {
  return study_result_from_json(json::parse(read_text_file(folder + "/result.json")));
}

double value_of(const PointResult& point, const char* name) {
  return find_metric(point, name)->value;
}

void check_refused(const Outcome& outcome, const std::vector<std::string>& parts) {
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  for (const std::string& part : parts) CHECK(outcome.output.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("a study over stages makes the same tokens a step and says what they wait for") {
  const TemporaryFolder folder;
  const std::string path = write_scenario(folder, R"(, "zip": { "plan.pipeline_parallel": [1, 2, 4],
                              "workload.requests_per_rank": [4, 8, 16] })");
  const Outcome outcome = run_program("run " + path + " --timeline --out " + (folder / "out"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const StudyResult study = study_in(folder / "out");
  REQUIRE(study.points.size() == 3);
  for (const PointResult& point : study.points) {
    const double tokens =
        value_of(point, "tokens_per_second_per_gpu") * value_of(point, "step_time") * 16;
    CHECK(tokens == doctest::Approx(64).epsilon(1e-9));
    CHECK(value_of(point, "time_per_output_token") == value_of(point, "step_time"));
    double sum = 0;
    for (const WaitResult& wait : point.waits)
      for (const double part : wait.by_cause) sum += part;
    CHECK(sum == doctest::Approx(value_of(point, "wait")).epsilon(1e-9));
  }
  CHECK(study.points[0].wait_causes.back() == "host");
  CHECK(study.points[1].wait_causes.back() == "pipeline");
}

TEST_CASE("a search finds among stages, and counts EP sizes that reach beyond one") {
  const TemporaryFolder folder;
  const std::string path = write_scenario(folder, R"(, "search": { "over": {
      "plan.pipeline_parallel": [1, 2, 4], "plan.expert_parallel": [4, 8, 16] } })");
  const Outcome outcome = run_program("search " + path + " --json --out " + (folder / "out"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const json found = json::parse(outcome.output.substr(outcome.output.find("{\n")));
  CHECK(found.at("possible") == 9);
  CHECK(found.at("tried") == 6);  // 3 of one stage, 2 of two, 1 of four
}

TEST_CASE("pipelines serve as pools of a deployment") {
  const TemporaryFolder folder;
  const std::string prefill = write_scenario(folder, "", kPrefill);
  const Outcome outcome =
      run_program("deploy " + prefill + " " + write_scenario(folder) +
                  " --prompt 2048 --output 256 --json --out " + (folder / "out"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const json found = json::parse(outcome.output.substr(outcome.output.find("{\n")));
  // Chunks of 256 tokens, half of a step's: 8 of them take 9 rounds of half a step.
  const double step = value_of(study_in(folder / "out/prefill").points.at(0), "step_time");
  CHECK(found.at("time_to_first_token_s").get<double>() - found.at("hand_over_s").get<double>() ==
        doctest::Approx(4.5 * step));
}

TEST_CASE("what a pipeline cannot do is refused by its key") {
  const TemporaryFolder folder;
  const std::string path = write_scenario(folder);
  check_refused(run_program("check " + path + " --set plan.pipeline_parallel=3"),
                {"plan.pipeline_parallel: 3 does not divide the 16 ranks", "2 and 4"});
  check_refused(run_program("check " + path + " --set plan.expert_parallel=16"),
                {"plan.expert_parallel: 16 exceeds the 8 ranks of a pipeline stage"});
  check_refused(run_program("check " + path + R"( --set 'faults=[{"kind":"rank_lost","rank":3}]')"),
                {"a rank can be lost in a pool of one stage only", "plan.pipeline_parallel is 2"});
  check_refused(run_program("check " + path + " --set workload.windows=2" +
                            R"( --set 'plan.rebalance={"every":1}')"),
                {"plan.rebalance", "one stage only", "plan.pipeline_parallel is 2"});
  check_refused(run_program("check " + path + " --set plan.context_parallel=2"),
                {"plan.context_parallel: 2 does not divide tensor_parallel 1"});
}
