// Steps become times of requests.
#include "sim/study/request_times.h"

#include <doctest/doctest.h>

using namespace moesim;
using doctest::Approx;

namespace {

PointResult with_step_time(double seconds) {
  PointResult result;
  result.metrics.push_back(
      {"step_time", "", {seconds, "s", 0.8 * seconds, 1.2 * seconds, Basis::calibrated}});
  return result;
}

}  // namespace

TEST_CASE("a decode request gets one token a step, or what its drafts bring") {
  Batch batch;
  batch.by_rank = {{}, {{0, Phase::decode, 1, 10}}};
  PointResult result = with_step_time(0.04);
  add_request_times({batch}, 0, result);
  const Metric* time = find_metric(result, "time_per_output_token");
  REQUIRE(time != nullptr);
  CHECK(time->value == Approx(0.04));
  CHECK(time->high == Approx(0.048));
  batch.drafts = 1;
  batch.kept = Drafting{1, 0.8}.output() / 2;
  result = with_step_time(0.045);
  add_request_times({batch}, 0, result);
  CHECK(find_metric(result, "time_per_output_token")->value == Approx(0.045 / 1.8));
}

TEST_CASE("a prompt takes as many steps as it fills with a rank's chunks") {
  Batch batch;
  batch.by_rank = {{{0, Phase::prefill, 1024, 0}}, {{1, Phase::prefill, 1024, 0}}};
  batch.rows = {std::vector<std::uint32_t>(1024), std::vector<std::uint32_t>(1024)};
  for (const auto& [prompt, steps] :
       {std::pair(4096.0, 4), std::pair(4097.0, 5), std::pair(100.0, 1), std::pair(1024.0, 1)}) {
    PointResult result = with_step_time(2);
    add_request_times({batch}, prompt, result);
    CHECK(find_metric(result, "time_to_first_token")->value == Approx(2 * steps));
  }
}

// Two stages, chunks of 512: n chunks need n + 1 rounds of half a step.
TEST_CASE("a prompt's chunks follow one another through a pipeline") {
  Batch batch;
  batch.by_rank = {{{0, Phase::prefill, 1024, 0}}};
  batch.rows = {std::vector<std::uint32_t>(1024)};
  for (const auto& [prompt, rounds] :
       {std::pair(512.0, 2), std::pair(513.0, 3), std::pair(1024.0, 3), std::pair(4096.0, 9)}) {
    PointResult result = with_step_time(2);
    add_request_times({batch}, prompt, result, 2);
    CHECK(find_metric(result, "time_to_first_token")->value == Approx(2 * rounds / 2.0));
    CHECK(prompt_steps(prompt, 1024, 2) == Approx(rounds / 2.0));
  }
}

TEST_CASE("three drafts of which each next is kept less often") {
  CHECK(Drafting{3, 0.5}.output() == Approx(1.875));
  CHECK(Drafting{0, 0.5}.output() == 1);
}
