// Pools for a traffic, by hand.
#include "sim/study/deployment.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"

using namespace moesim;
using doctest::Approx;

namespace {

PointResult pool(const std::string& phase, int ranks, double rate, double time, Basis basis) {
  PointResult result;
  result.scenario_name = phase + " pool";
  result.model = "m";
  result.phase = phase;
  result.ranks = ranks;
  result.metrics.push_back({"tokens_per_second_per_gpu", "", metric_of(rate, "1/s", basis)});
  result.metrics.push_back({phase == "prefill" ? "step_time" : "time_per_output_token", "",
                            metric_of(time, "s", basis)});
  return result;
}

const HandOver kHandOver{Bytes(300e6), 2, BytesPerSecond(50e9), 512};

}  // namespace

TEST_CASE("pools are as many as the load needs, prompts less what is cached") {
  const PointResult prefill = pool("prefill", 32, 8000, 2, Basis::calibrated);
  const PointResult decode = pool("decode", 128, 2000, 0.05, Basis::transferred);
  Traffic traffic{4000, 1000, 0.5, 256};
  const Deployment deployment = plan_deployment(prefill, decode, traffic, kHandOver);
  CHECK(deployment.prefill.requests.value == Approx(32 * 8000 / 2000.0));  // 128 a second
  CHECK(deployment.decode.requests.value == Approx(128 * 2000 / 1000.0));  // 256
  CHECK(deployment.prefill.pools == 2);
  CHECK(deployment.decode.pools == 1);
  CHECK(deployment.gpus == 192);
  CHECK(deployment.output_per_gpu.value == Approx(256 * 1000 / 192.0));
  CHECK(deployment.output_per_gpu.basis == Basis::transferred);
  CHECK(deployment.output_per_gpu.high > deployment.output_per_gpu.value);
  CHECK(deployment.hand_over_time.value == Approx(6e-3));
  CHECK(deployment.hand_over.value == Approx(600e6));
  CHECK(deployment.hand_over_share == Approx(256 * 2 * 6e-3 / 128));
  // 2000 tokens are computed, 512 a step.
  CHECK(deployment.first_token.value == Approx(4 * 2 + 0.006));

  traffic.requests_per_second = 0;  // one prefill pool's own
  const Deployment own = plan_deployment(prefill, decode, traffic, kHandOver);
  CHECK(own.prefill.pools == 1);
  CHECK(own.decode.exact == Approx(0.5));
  CHECK(own.decode.pools == 1);
}

TEST_CASE("what cannot be a deployment is refused") {
  const PointResult prefill = pool("prefill", 32, 8000, 2, Basis::calibrated);
  PointResult decode = pool("decode", 128, 2000, 0.05, Basis::transferred);
  const auto refused = [&](const PointResult& a, const PointResult& b, const Traffic& traffic,
                           const char* message) {
    CHECK_THROWS_WITH_AS(plan_deployment(a, b, traffic, kHandOver), message, InputError);
  };
  refused(decode, decode, {}, "decode pool: its phase is decode, a prefill pool is needed here");
  refused(prefill, decode, {0, 1, 0, 0}, "prompt tokens 0: allowed are 1 and more");
  refused(prefill, decode, {1, 1, 1, 0},
          "share of the prompt that is cached 1: allowed are 0 to below 1");
  refused(prefill, decode, {1, 1, 0, 1e15},
          "1e+15 requests a second need 3.91e+09 prefill pools; at most 1e+06 are planned");
  decode.model = "n";
  refused(prefill, decode, {}, "the prefill pool serves m, the decode pool n");
  decode.model = "m";
  decode.ran = false;
  decode.memory.verdict = "1 GiB short";
  refused(prefill, decode, {}, "decode pool: the pool does not fit memory: 1 GiB short");
}
