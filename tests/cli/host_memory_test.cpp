// Experts in host memory as a user asks for them.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::kFirstRun;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

double metric_of_point(const nlohmann::json& point, const std::string& name) {
  for (const auto& named : point["metrics"])
    if (named["name"] == name) return named["metric"]["value"];
  return -1;
}

}  // namespace

TEST_CASE("Fewer experts on the GPU take less of it and more of the step") {
  const TemporaryFolder folder;
  const Outcome outcome = run_program(
      "run " + kFirstRun + " --out " + (folder / "out") +
      " --set workload.trace.forward.tokens_per_domain=512 --set workload.requests_per_rank=32"
      " --set plan.redundant_experts=0 --set workload.steps=1"
      " --set 'vary={\"plan.resident_experts\": [1, 2]}'");
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const auto result = nlohmann::json::parse(read_text_file(folder / "out/result.json"));
  const auto &one = result["points"][0], &all = result["points"][1];
  CHECK(metric_of_point(all, "expert_fetch") == 0);
  CHECK(metric_of_point(one, "expert_fetch") > 0);
  CHECK(metric_of_point(one, "step_time") > metric_of_point(all, "step_time"));
  CHECK(metric_of_point(one, "memory_headroom") > metric_of_point(all, "memory_headroom"));
  CHECK(outcome.output.find("prefetching would hide some of it") != std::string::npos);
}

TEST_CASE("What does not go with experts in host memory is refused with its key") {
  const auto refused = [](const std::string& settings, const std::string& words) {
    const Outcome outcome =
        run_program("check " + kFirstRun + " --set plan.resident_experts=1 " + settings);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(outcome.output.find(words) != std::string::npos);
  };
  refused("--set workload.windows=2 --set 'plan.rebalance={\"every\": 1}'", "take out rebalance");
  refused("--set 'faults=[{\"kind\": \"rank_lost\", \"rank\": 3}]'",
          "a rank can be lost where all experts stay on GPUs");
  refused("--set plan.resident_experts=99", "experts of a layer; 1 to");
}
