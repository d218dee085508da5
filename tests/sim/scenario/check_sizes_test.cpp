#include "sim/scenario/check_sizes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "sim/scenario/study_axes.h"
#include "tests/cli/program.h"

using namespace moesim;
using test::Outcome;
using test::run_program;

namespace {

const std::string kScenario = test::source_dir() + "/scenarios/deepseek_v3_320.json";

void check_refused(const std::string& settings, const std::vector<std::string>& parts) {
  const Outcome outcome = run_program("check " + kScenario + settings);
  CAPTURE(settings);
  CAPTURE(outcome.output);
  CHECK(outcome.code == 2);
  for (const std::string& part : parts) CHECK(outcome.output.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("A pool of a billion GPUs is refused with the memory its pairs would take") {
  // 1.25e8 nodes of 8: (10^9)^2 pairs of 32 bytes, in TiB of 2^40 bytes.
  const double tib = 32e18 / std::pow(2.0, 40);
  check_refused(" --set cluster.nodes=125000000",
                {"1000000000 GPUs", std::to_string(static_cast<long>(std::round(tib))) + " TiB",
                 "at most 4096, 512 MiB"});
}

TEST_CASE("A study of too many points is refused with the memory of its scenarios") {
  std::string values = "[1";
  for (int i = 2; i <= 400; ++i) values += "," + std::to_string(i);
  values += "]";
  check_refused(
      " --set 'vary={\"workload.steps\":" + values + ",\"workload.context\":" + values + "}'",
      {"spans 160000 points (400 here times 400", "B; at most 100000 points"});
}

TEST_CASE("A synthetic trace is refused by its tokens, layers and top-k") {
  // DeepSeek-V3: 58 MoE layers, top-8, 2 bytes each, and 14 bytes a token.
  const Bytes bytes(2e9 * (58 * 8 * 2 + 14));
  check_refused(" --set workload.trace.synthetic.tokens=2000000000",
                {"workload.trace.synthetic.tokens", "58 MoE layers and top-8", to_text(bytes),
                 "at most 16.0 GiB"});
}

TEST_CASE("The batches of all steps and windows are refused by their tokens") {
  // 320 DP ranks with 65,536 requests in 1000 steps of 2 windows: 16 bytes an entry, 4 a row.
  const double tib = 320.0 * 65536 * 2000 * 20 / std::pow(2.0, 40);
  REQUIRE(sizeof(BatchEntry) == 16);
  CHECK(tib < 1);
  check_refused(
      " --set workload.requests_per_rank=65536 --set workload.steps=1000"
      " --set workload.windows=2",
      {"workload.requests_per_rank", "2000 steps (2 windows) on 320 DP ranks",
       std::to_string(static_cast<int>(std::round(tib * 1024))) + " GiB"});
}
