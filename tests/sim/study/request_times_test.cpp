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
  add_request_times({batch}, {0.04}, result);
  const Metric* time = find_metric(result, "time_per_output_token");
  REQUIRE(time != nullptr);
  CHECK(time->value == Approx(0.04));
  CHECK(time->high == Approx(0.048));
  batch.drafts = 1;
  batch.kept = Drafting{1, 0.8}.output() / 2;
  result = with_step_time(0.045);
  add_request_times({batch}, {0.045}, result);
  CHECK(find_metric(result, "time_per_output_token")->value == Approx(0.045 / 1.8));
}

TEST_CASE("a prompt's first token comes with the last of its chunks") {
  std::vector<Batch> batches(3);
  batches[0].by_rank = {{{0, Phase::prefill, 8, 0}},
                        {{1, Phase::prefill, 4, 0}, {2, Phase::prefill, 4, 0}}};
  batches[1].by_rank = {{{0, Phase::prefill, 8, 8}}, {{2, Phase::prefill, 8, 4}}};
  batches[2].by_rank = {{{3, Phase::prefill, 8, 0}}, {{2, Phase::prefill, 8, 12}}};
  PointResult result = with_step_time(2);
  add_request_times(batches, {1, 2, 3}, result);
  // Request 0 ends with step 1 after 3 s, request 1 with step 0 after 1 s; 2 and 3 may go on.
  CHECK(find_metric(result, "time_to_first_token")->value == Approx(2));
}

TEST_CASE("three drafts of which each next is kept less often") {
  CHECK(Drafting{3, 0.5}.output() == Approx(1.875));
  CHECK(Drafting{0, 0.5}.output() == 1);
}
