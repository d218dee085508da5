// Records of training steps and of load balance.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/io/files.h"
#include "tests/sim/validate/one_record.h"
#include "workloads/traces/synth_loads.h"

using namespace moesim;
using test::TemporaryFolder;

namespace {

std::string training(const std::string& quantity, double value, const std::string& more) {
  return fmt::format(
      R"({{"kind": "training", "accelerator": "GB200", "ranks": 256, "nodes": 64,
      "gpus_per_node": 4, "scale_up_domain": 72, "scale_out": "ib", "model": "deepseek-v3",
      "algorithm": null, "tp": 1, "pp": 4, "ep": 64, "dp": 64, "vp": 4, "micro_batch": 1,
      "global_batch": 1024, "sequence": 4096, "dtype": "mxfp8",
      "routing": "balanced", "quantity": "{}", "value": {}{}}})",
      quantity, value, more);
}

std::string balance(const std::string& part, int ep, const std::string& more) {
  return fmt::format(
      R"({{"kind": "balance", "quantity": "load_ratio", "value": 2, "model": "deepseek-v3",
      "part": "{}", "phase": "decode", "ep": {}, "experts": 256, "top_k": 8{}}})",
      part, ep, more);
}

}  // namespace

TEST_CASE("Throughput, rate, share of peak and time of a step are predicted alike") {
  const Prediction tokens = test::predict_one(training("throughput", 4000, ""));
  CHECK(tokens.unit == "tokens/s/GPU");
  // 1024 sequences of 4096 tokens on 256 GPUs.
  CHECK(tokens.value * tokens.predicted.count() * 256 == doctest::Approx(1024 * 4096.0));
  CHECK(tokens.measured.count() == doctest::Approx(1024 * 4096.0 / 256 / 4000));
  const Prediction time = test::predict_one(training("time", 4e6, ""));
  CHECK(time.value == doctest::Approx(tokens.predicted.count() * 1e6));
  const Prediction rate = test::predict_one(training("rate", 1000, ""));
  const Prediction share = test::predict_one(training("mfu", 0.2, ""));
  CHECK(rate.value == doctest::Approx(share.value * 5000));  // TFLOP/s of the fp8 peak
}

TEST_CASE("Training conditions change the prediction the way they change a step") {
  const auto tokens = [](const std::string& more) {
    return test::predict_one(training("throughput", 4000, more)).value;
  };
  const double plain = tokens("");
  CHECK(tokens(R"(, "overlap": true)") > 1.05 * plain);
  CHECK(tokens(R"(, "recompute": "full")") < plain);
  CHECK(tokens(R"(, "mtp": false)") > plain);
  CHECK(test::validate_one(training("throughput", 4000, R"(, "overlap": 1)")).records.empty());
  CHECK(test::validate_one(training("memory", 4000, "")).records.empty());
}

TEST_CASE("Balance is worse the fewer experts share a rank, and even without a balancer's limits") {
  const double of_8 = test::predict_one(balance("rank", 8, "")).value,
               of_64 = test::predict_one(balance("rank", 64, "")).value,
               of_256 = test::predict_one(balance("rank", 256, "")).value;
  CHECK(of_8 > 1);
  CHECK(of_64 > of_8);
  CHECK(of_256 > of_64);
  // One expert a rank: the rank's load is the expert's.
  CHECK(test::predict_one(balance("expert", 256, "")).value == doctest::Approx(of_256));
  const std::string eplb = R"(, "balancer": "eplb", "redundant_experts": 32)";
  const double balanced = test::predict_one(balance("rank", 32, eplb)).value;
  CHECK(balanced >= 1);
  CHECK(balanced < 1.1);
  // A slot of a replicated expert has a share of its load.
  CHECK(test::predict_one(balance("slot", 32, eplb)).value < of_256);
  CHECK(test::predict_one(balance("rank", 32, R"(, "balancer": "perfect")")).value == 1);
}

TEST_CASE("Balance records that cannot be are listed with the reason") {
  const auto reason = [](const std::string& typed) {
    const Validation validation = test::validate_one(typed);
    REQUIRE(validation.unmapped.size() == 1);
    return validation.unmapped[0].reason;
  };
  CHECK(reason(balance("rank", 9, "")).find("256 slots do not divide over 9") == 0);
  CHECK(reason(balance("node", 8, "")).find("node") != std::string::npos);
  const std::string other = R"({"kind": "balance", "quantity": "load_ratio", "value": 2,
      "model": "phi-3.5-moe", "part": "rank", "ep": 8, "experts": 16, "top_k": 2})";
  CHECK(reason(other).find("no routing profile") == 0);
}

TEST_CASE("Expected loads are the profile's curve, expert by expert in another order") {
  const SynthProfile profile = load_profile("deepseek-v3-decode");
  LoadRequest request;
  request.moe_layers = 2;
  request.groups = 8;
  request.decode = true;
  for (const std::vector<double>& load : expected_loads(profile, request)) {
    std::vector<double> sorted = load;
    std::sort(sorted.rbegin(), sorted.rend());
    const std::vector<double> curve = load_curve(profile, 0, 0, 256);
    for (std::size_t i = 0; i < 256; ++i)
      CHECK(sorted[i] == doctest::Approx(curve[i]).epsilon(0.02));
  }
  request.domain = "code";
  CHECK_THROWS_AS(expected_loads(profile, request), InputError);
}
