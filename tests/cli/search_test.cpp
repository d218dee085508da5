// moesim search as a user runs it: the front against a brute force over the same plans, limits that
// nothing keeps, plans that cannot be, and files that can be run again.
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

void write_scenario(const TemporaryFolder& folder, const std::string& search) {
  write_file(folder / "small.json", R"({
  "name": "small", "model": "reference",
  "cluster": { "preset": "h100-ib", "nodes": 1 },
  "workload": {
    "trace": { "synthetic": { "like": "olmoe", "tokens": 512 } },
    "phase": "decode", "requests_per_rank": 8, "context": 1024, "steps": 2 },
  "plan": { "placement": "contiguous", "all_to_all": "deepep_low_latency" },
  "search": )" + search + "}\n");
}

constexpr const char* kOver = R"("over": {"workload.requests_per_rank": [4, 16, 64],
  "plan.expert_parallel": [3, 4, 8], "plan.placement": ["contiguous", "greedy"]})";

json searched(const TemporaryFolder& folder, const std::string& out) {
  const Outcome outcome =
      run_program("search " + (folder / "small.json") + " --json --out " + (folder / out));
  CAPTURE(outcome.output);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.output.substr(outcome.output.find("{\n")));  // after the progress
}

double rate(const json& plan) {
  return plan.at("metrics").at("tokens_per_second_per_gpu").at("value");
}
double token_seconds(const json& plan) {
  return plan.at("metrics").at("time_per_output_token").at("value");
}

}  // namespace

TEST_CASE("no plan tried beats one of the front, and each can be run again") {
  const TemporaryFolder folder;
  write_scenario(folder, std::string("{") + kOver + R"(, "limit": "1 s"})");
  const json found = searched(folder, "out");
  CHECK(found.at("possible") == 18);
  CHECK(found.at("tried") == 12);  // EP 3 divides nothing
  CHECK(found.at("refused").at(0).at("count") == 6);
  CHECK(found.at("refused").at(0).at("reason").get<std::string>().find("plan.expert_parallel") ==
        0);
  const json& front = found.at("front");
  REQUIRE(!front.empty());
  for (std::size_t i = 1; i < front.size(); ++i) {
    CHECK(token_seconds(front[i]) > token_seconds(front[i - 1]));
    CHECK(rate(front[i]) > rate(front[i - 1]));
  }
  CHECK(found.at("best") == front.size() - 1);  // the limit is far away
  for (const char* key : {"4", "16", "64"}) {
    for (const char* expert : {"4", "8"}) {
      const Outcome one =
          run_program("run " + (folder / "small.json") + " --out " + (folder / "one") +
                      " --set fidelity=bound" +
                      " --set workload.steps=1 --set workload.requests_per_rank=" + key +
                      " --set plan.expert_parallel=" + expert);
      REQUIRE(one.code == 0);
      const StudyResult study =
          study_result_from_json(json::parse(read_text_file((folder / "one") + "/result.json")));
      const double own_rate = find_metric(study.points[0], "tokens_per_second_per_gpu")->value;
      const double own_time = find_metric(study.points[0], "time_per_output_token")->value;
      for (const json& plan : front)
        CHECK_FALSE((own_rate > 1.02 * rate(plan) && own_time < 0.98 * token_seconds(plan)));
    }
  }
  const std::string file = front[0].at("scenario");
  const Outcome again = run_program("run " + file + " --out " + (folder / "again"));
  CAPTURE(again.output);
  REQUIRE(again.code == 0);
  const StudyResult study =
      study_result_from_json(json::parse(read_text_file((folder / "again") + "/result.json")));
  REQUIRE(study.points.size() == 1);
  CHECK(find_metric(study.points[0], "tokens_per_second_per_gpu")->value ==
        doctest::Approx(rate(front[0])));
}

TEST_CASE("a limit that no plan keeps names the nearest miss; the fewest GPUs carry a load") {
  const TemporaryFolder folder;
  write_scenario(folder, std::string("{") + kOver + R"(, "limit": "1 us"})");
  json found = searched(folder, "out");
  CHECK(found.at("best") == -1);
  const std::string verdict = found.at("verdict");
  CHECK(verdict.find("No plan does. The nearest, ") == 0);
  CHECK(verdict.find("0.001 are allowed") != std::string::npos);
  CHECK(verdict.find("requests_per_rank 4") != std::string::npos);  // the fastest step

  write_scenario(folder, R"({"over": {"cluster.nodes": [1, 2, 4],
    "workload.requests_per_rank": [8, 64]}, "objective": "gpus", "tokens_per_second": 1})");
  found = searched(folder, "out");
  REQUIRE(found.at("best") >= 0);
  CHECK(found.at("front").at(found.at("best").get<std::size_t>()).at("gpus") == 8);
}

TEST_CASE("a budget draws plans by the seed, the same again") {
  const TemporaryFolder folder;
  write_scenario(folder, std::string("{") + kOver + R"(, "budget": 5})");
  const json first = searched(folder, "one"), second = searched(folder, "two");
  CHECK(first.at("possible") == 18);
  CHECK(first.at("tried").get<int>() <= 5);
  CHECK(first.at("verdict") == second.at("verdict"));
}

TEST_CASE("what is wrong in a search is told by its place") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& search, const std::string& message) {
    write_scenario(folder, search);
    const Outcome outcome = run_program("search " + (folder / "small.json"));
    CHECK(outcome.code == 2);
    CAPTURE(outcome.output);
    CHECK(outcome.output.find(message) != std::string::npos);
  };
  refused(R"({"objective": "speed", "over": {"cluster.nodes": [1]}})", "search.objective");
  refused(R"({"objective": "gpus", "over": {"cluster.nodes": [1]}})",
          "needs \"tokens_per_second\"");
  refused(R"({"over": {}})", "search.over");
  refused(R"({"over": {"cluster.nodes": [1]}, "limit": 50})", "search.limit");
  refused(R"({"over": {"cluster.nodes": [1]}, "budget": 0})", "search.budget");
  refused(R"({"over": {"plan.expert_parallel": [3, 5]}})", "plan.expert_parallel");
  refused(R"({"over": {"plan.placment": ["eplb"]}})", "placement");
}
