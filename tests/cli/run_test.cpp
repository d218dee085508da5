// The main job as a user runs it: files, contents, reuse and determinism.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "sim/result/result.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::kFirstRun;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

StudyResult read_study(const std::string& folder) {
  return study_result_from_json(nlohmann::json::parse(read_text_file(folder + "/result.json")));
}

// Content by file name, of everything that must not depend on jobs or repeats (run.json holds wall
// times).
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != "run.json") {
      files[fs::relative(entry.path(), folder).string()] = read_text_file(entry.path().string());
    }
  }
  return files;
}

}  // namespace

TEST_CASE("The first run writes its files and shows a difference between the placements") {
  const TemporaryFolder folder;
  const Outcome outcome = run_program("run " + kFirstRun + " --out " + (folder / "out"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  for (const char* name : {"result.json", "study.csv", "report.html", "run.json"})
    CHECK(fs::exists(folder / ("out/" + std::string(name))));
  const StudyResult study = read_study(folder / "out");
  REQUIRE(study.points.size() == 2);
  CHECK(study.points[0].label == "contiguous");
  CHECK(study.points[1].label == "eplb");
  const double contiguous = find_metric(study.points[0], "step_time")->value;
  const double eplb = find_metric(study.points[1], "step_time")->value;
  CHECK(contiguous > 1.02 * eplb);  // EPLB evens out real skew: the difference must be visible
  CHECK(find_metric(study.points[1], "balancedness")->value >
        1.1 * find_metric(study.points[0], "balancedness")->value);
  for (const PointResult& point : study.points) {
    CHECK(!point.checks.empty());
    for (const CheckResult& check : point.checks) CHECK(check.passed);
    double sum = 0;
    for (const auto& part : point.breakdown) sum += part.second;
    CHECK(sum == doctest::Approx(find_metric(point, "step_time")->value).epsilon(1e-9));
    for (const RankResult& rank : point.ranks_detail) {
      CHECK(rank.compute + rank.exchange + rank.wait ==
            doctest::Approx(find_metric(point, "step_time")->value).epsilon(1e-9));
    }
  }
}

TEST_CASE(
    "Results are the same bytes on one job, on two and on a repeat; a second run computes "
    "nothing") {
  const TemporaryFolder folder;
  REQUIRE(run_program("run " + kFirstRun + " --jobs 1 --out " + (folder / "a")).code == 0);
  REQUIRE(run_program("run " + kFirstRun + " --jobs 2 --out " + (folder / "b")).code == 0);
  const auto first = contents(folder / "a");
  CHECK(first == contents(folder / "b"));
  const Outcome again = run_program("run " + kFirstRun + " --jobs 2 --out " + (folder / "a"));
  CHECK(again.output.find("point 1 of") == std::string::npos);
  CHECK(first == contents(folder / "a"));
}

TEST_CASE("A changed scenario computes only what is new") {
  const TemporaryFolder folder;
  REQUIRE(run_program("run " + kFirstRun + " --out " + (folder / "out")).code == 0);
  const Outcome more =
      run_program("run " + kFirstRun + " --out " + (folder / "out") +
                  " --set 'vary={\"plan.placement\":[\"contiguous\",\"eplb\",\"round_robin\"]}'");
  INFO(more.output);
  CHECK(more.code == 0);
  CHECK(more.output.find("point 1 of 1 done") != std::string::npos);
  CHECK(read_study(folder / "out").points.size() == 3);
}

TEST_CASE("A point file that was cut short is computed again, not believed") {
  const TemporaryFolder folder;
  REQUIRE(run_program("run " + kFirstRun + " --out " + (folder / "out")).code == 0);
  const auto before = contents(folder / "out");
  for (const auto& entry : fs::directory_iterator(folder / "out/points"))
    fs::resize_file(entry.path(), 100);
  REQUIRE(run_program("run " + kFirstRun + " --out " + (folder / "out")).code == 0);
  CHECK(before == contents(folder / "out"));
}
