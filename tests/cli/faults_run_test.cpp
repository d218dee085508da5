// The example of faults as a user runs it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/result/result.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

const std::string kFaults = test::source_dir() + "/scenarios/faults.json";

PointResult first_point(const std::string& folder) {
  return study_result_from_json(nlohmann::json::parse(read_text_file(folder + "/result.json")))
      .points.at(0);
}

}  // namespace

TEST_CASE("The example of faults says what remains after each of them") {
  const TemporaryFolder folder;
  const Outcome outcome = run_program("run " + kFaults + " --out " + (folder / "out"));
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.output.find("nic_lost rank 3") != std::string::npos);
  CHECK(outcome.output.find("remains") != std::string::npos);
  const PointResult point = first_point(folder / "out");
  REQUIRE(point.faults.size() == 4);
  int finished = point.faults.front().before.steps;
  for (const FaultResult& fault : point.faults) {
    finished += fault.after.steps;
    CHECK(fault.remaining > 0.3);
    CHECK(fault.remaining < 1);
    CHECK(fault.remaining ==
          doctest::Approx(fault.after.throughput / point.faults.front().before.throughput));
  }
  CHECK(finished == 16);
  CHECK(point.steps == 16);
  CHECK(point.faults.back().recovery > 0);  // no expert has a second replica
  CHECK(point.faults.back().reloaded > 0);
}

TEST_CASE("Faults are part of a point's key, and lists of them can be compared") {
  const TemporaryFolder folder;
  const std::string run = "run " + kFaults + " --set workload.steps=2 --out " + (folder / "out");
  REQUIRE(run_program(run + " --set 'faults=[]'").code == 0);
  const std::string without = first_point(folder / "out").key;
  REQUIRE(run_program(run + R"( --set 'faults=[{"kind":"nic_lost","rank":3}]')").code == 0);
  CHECK(first_point(folder / "out").key != without);
  const Outcome compared =
      run_program("run " + kFaults + " --set workload.steps=2 --out " + (folder / "compared") +
                  R"( --set 'vary={"faults":[[],[{"kind":"slow_gpu","rank":3,"factor":2}]]}')");
  INFO(compared.output);
  REQUIRE(compared.code == 0);
  CHECK(compared.output.find("no faults is 1.") != std::string::npos);
  CHECK(compared.output.find("slow_gpu rank 3 x 2") != std::string::npos);
}

TEST_CASE("Survivors whose buffers are too small are refused with the fault's place") {
  const TemporaryFolder folder;
  const Outcome outcome = run_program(
      "run " + kFaults + " --out " + (folder / "out") +
      R"( --set plan.max_tokens_per_rank=128 --set 'faults=[{"kind":"rank_lost","rank":3}]')");
  INFO(outcome.output);
  CHECK(outcome.code == 2);
  CHECK(
      outcome.output.find("faults.0.rank: with rank_lost rank 3: plan.max_tokens_per_rank: 128 is "
                          "too few: a rank has up to 133 tokens") != std::string::npos);
}
