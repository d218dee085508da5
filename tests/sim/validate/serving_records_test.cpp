// Records of deployments: signs and sizes that must hold whatever the constants are.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/sim/validate/one_record.h"

using namespace moesim;
using test::predict_one;
using test::validate_one;

namespace {

std::string serving(const std::string& more) {
  return R"({"kind": "serving", "accelerator": "H800", "ranks": 16, "nodes": 2,
      "gpus_per_node": 8, "scale_up_domain": 8, "scale_out": "ib", "scale_out_bandwidth_gbs": 50,
      "model": "gpt-oss-20b", "timing": "end_to_end", )" +
         more + "}";
}

std::string prefill(const std::string& more) {
  return serving(R"("phase": "prefill", "algorithm": "deepep_normal", "tp": 1, "ep": 16, "dp": 16,
      "tokens_per_rank": 8192, "sequence": 2048, "quantity": "throughput", "value": 1)" +
                 more);
}

std::string decode(const std::string& more) {
  return serving(R"("phase": "decode", "algorithm": "deepep_low_latency", "sequence": 1000,
      "output_length": 200)" +
                 more);
}

constexpr const char* kAllRanks = R"(, "tp": 1, "ep": 16, "dp": 16)";

}  // namespace

TEST_CASE("overlap of two batches brings large prefills on, and a prefill is no decode step") {
  const double apart = predict_one(prefill("")).value;
  const double beside = predict_one(prefill(R"(, "overlap": true)")).value;
  CHECK(beside > 1.05 * apart);
  CHECK(beside < 2 * apart);
}

TEST_CASE("a decode record's time is its batch over its throughput") {
  const std::string batch = R"(, "batch": 32)";
  const double rate =
      predict_one(decode(batch + kAllRanks + R"(, "quantity": "throughput", "value": 1)")).value;
  const Prediction time =
      predict_one(decode(batch + kAllRanks + R"(, "quantity": "time", "value": 1)"));
  CHECK(time.unit == "us");
  CHECK(time.value * rate == doctest::Approx(32e6).epsilon(1e-6));
}

TEST_CASE("balanced experts are never slower than experts by number") {
  const auto rate = [&](const char* balancer) {
    return predict_one(prefill(fmt::format(R"(, "balancer": "{}", "redundant_experts": {})",
                                           balancer, std::string(balancer) == "none" ? 0 : 16)))
        .value;
  };
  const double none = rate("none"), eplb = rate("eplb"), perfect = rate("perfect");
  CHECK(eplb >= none);
  CHECK(perfect >= (1 - 1e-9) * eplb);  // routed evenly, they are one
}

TEST_CASE("a service without a balancer has its redundant slots in order, whatever the load") {
  const auto rate = [&](const char* balancer) {
    std::string record = decode(fmt::format(R"(, "batch": 64, "redundant_experts": 32,
                                                "quantity": "throughput", "value": 1,
                                                "balancer": "{}")",
                                            balancer) +
                                kAllRanks);
    const std::string even = "gpt-oss-20b";  // whose routing nobody has published
    record.replace(record.find(even), even.size(), "deepseek-v3");
    return predict_one(record).value;
  };
  CHECK(rate("eplb") > 1.02 * rate("none"));
}

TEST_CASE("without expert parallelism experts are split over the tensor-parallel ranks") {
  const std::string one_node = R"({"kind": "serving", "accelerator": "H800", "ranks": 8, "nodes": 1,
      "gpus_per_node": 8, "scale_up_domain": 8, "scale_out": "none", "model": "mixtral-8x7b",
      "phase": "decode", "batch": 16, "sequence": 500, "tp": 8, "ep": 1, "dp": 1,
      "quantity": "time", "value": 1})";
  const Prediction split = predict_one(one_node);
  CHECK(split.conditions.find("EP 1 TP 8") != std::string::npos);
  // At least an eighth of all weights is read: 46.7e9 x 2 B / 8 at 3.35 TB/s.
  CHECK(split.value > 46.7e9 * 2 / 8 / 3.35e12 * 1e6);
  CHECK(split.value < 5 * 46.7e9 * 2 / 8 / 3.35e12 * 1e6);
}

TEST_CASE("a batch that is not stated is what fits, and says so; what cannot be says why") {
  const Prediction fit =
      predict_one(decode(std::string(kAllRanks) + R"(, "quantity": "throughput", "value": 1)"));
  CHECK(fit.note.find("requests a DP rank, as fit") != std::string::npos);
  const Validation odd =
      validate_one(decode(R"(, "tp": 1, "ep": 5, "dp": 16, "quantity": "throughput", "value": 1)"));
  REQUIRE(odd.unmapped.size() == 1);
  CHECK(odd.unmapped[0].reason == "EP 5 does not divide 16 ranks");
  const Validation late =
      validate_one(serving(R"("phase": "prefill", "tp": 1, "ep": 16, "dp": 16, "sequence": 2048,
                              "quantity": "time", "value": 1)"));
  REQUIRE(late.unmapped.size() == 1);
  CHECK(late.unmapped[0].reason.find("queueing") != std::string::npos);
}
