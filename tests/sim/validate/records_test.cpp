// Records: read, mapped or listed with a reason, predicted in their own unit.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "sim/io/files.h"
#include "sim/validate/summary.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using test::TemporaryFolder;

namespace {

// A typed exchange record of DeepEP on H800; `change` replaces or adds keys.
std::string exchange(const std::string& id, const std::string& change) {
  return fmt::format(
      R"({{"id": "{}", "testbed": "bed", "split": "calibrate", "source": "by hand", "typed": {{
      "kind": "exchange", "accelerator": "H800", "gpus_per_node": 8, "scale_up_domain": 8,
      "scale_out": "ib", "scale_out_bandwidth_gbs": 50, "hidden": 7168, "top_k": 8, "experts": 256,
      "routing": "uniform", "dispatch_dtype": "fp8", "combine_dtype": "bf16", "timing": "kernel",
      "inferred": [], {}}}}})",
      id, change);
}

const char* const kLowLatency =
    R"("algorithm": "deepep_low_latency", "mode": "low_latency", "operation": "dispatch",
    "transport": "nvlink+ibgda", "ranks": 16, "tokens_per_rank": 128)";

std::string with(const std::string& keys, const std::string& quantity, double value) {
  return fmt::format(R"({}, "quantity": "{}", "value": {})", keys, quantity, value);
}

Validation validate(const std::vector<std::string>& records) {
  const TemporaryFolder folder;
  std::string text = R"({"measurements": [)";
  for (const std::string& record : records) text += (text.back() == '[' ? "" : ", ") + record;
  write_file(folder / "records.json", text + "]}");
  return validate_records(folder / "records.json", "");
}

Prediction predict(const std::string& record) {
  const Validation validation = validate({record});
  REQUIRE(validation.records.size() == 1);
  return validation.records[0].prediction;
}

}  // namespace

TEST_CASE("A time and the bandwidth it stands for are predicted alike") {
  const Prediction time = predict(exchange("t", with(kLowLatency, "time", 118)));
  // DeepEP counts k rows of 7168 + 4 x 56 + 16 bytes a token.
  const double gigabytes = 128.0 * 8 * 7408 / 118e-6 / 1e9;
  const Prediction rate = predict(exchange("r", with(kLowLatency, "logical_bandwidth", gigabytes)));
  CHECK(time.unit == "us");
  CHECK(rate.unit == "GB/s");
  CHECK(rate.predicted.count() == time.predicted.count());
  CHECK(rate.measured.count() == doctest::Approx(time.measured.count()));
  CHECK(rate.value == doctest::Approx(128.0 * 8 * 7408 / time.predicted.count() / 1e9));
}

TEST_CASE("The line-rate model has the bytes of the busiest port and no constant of its own") {
  const Prediction one = predict(exchange("t", with(kLowLatency, "time", 118)));
  // Half of the rows leave the node; the busiest of 16 ports has a few per cent more than the mean.
  const double mean = 128.0 * 8 * 7408 / 2 / 50e9;
  CHECK(one.at_line_rate.count() > mean);
  CHECK(one.at_line_rate.count() < 1.15 * mean);
  CHECK(one.predicted > one.at_line_rate);
}

TEST_CASE("Rows that may not take NVLink take the NIC inside the node as well") {
  std::string keys = kLowLatency;
  keys.replace(keys.find("nvlink+ibgda"), 12, "ibgda");
  const Prediction rdma = predict(exchange("t", with(keys, "time", 118)));
  const Prediction both = predict(exchange("t", with(kLowLatency, "time", 118)));
  const double ratio = rdma.at_line_rate / both.at_line_rate;
  CHECK(ratio == doctest::Approx(15.0 / 8).epsilon(0.05));  // 15 of 16 ranks against 8
}

TEST_CASE("A round trip is its two directions") {
  const auto direction = [&](const std::string& operation) {
    std::string keys = kLowLatency;
    keys.replace(keys.find("dispatch"), 8, operation);
    return predict(exchange("t", with(keys, "time", 300))).predicted.count();
  };
  CHECK(direction("round_trip") ==
        doctest::Approx(direction("dispatch") + direction("combine")).epsilon(1e-12));
}

TEST_CASE("Fewer SMs make normal mode slower where they limit") {
  const auto at = [&](int sms) {
    return predict(
               exchange("t", fmt::format(R"("algorithm": "deepep_normal", "mode": "high_throughput",
        "operation": "dispatch", "transport": "nvlink", "ranks": 8, "tokens_per_rank": 4096,
        "quantity": "time", "value": 400, "sms": {})",
                                         sms)))
        .predicted.count();
  };
  CHECK(at(4) > 1.5 * at(24));
  CHECK(at(24) >= at(64));
}

TEST_CASE("Every record is predicted or listed with a reason") {
  const Validation validation = validate(
      {exchange("good", with(kLowLatency, "time", 118)),
       exchange("fused", R"("algorithm": "fused", "mode": "low_latency", "operation": "dispatch",
                "ranks": 8, "tokens_per_rank": 128, "quantity": "time", "value": 1)"),
       R"({"id": "none", "testbed": "bed", "source": "x", "typed": null,
           "unmapped_reason": "a link rate"})",
       R"({"id": "kind", "testbed": "bed", "source": "x",
           "typed": {"kind": "weather", "quantity": "time", "value": 1}})"});
  CHECK(validation.records.size() == 1);
  REQUIRE(validation.unmapped.size() == 3);
  CHECK(validation.unmapped[0].reason.find("layer's kernel") != std::string::npos);
  CHECK(validation.unmapped[1].reason == "a link rate");
  CHECK(validation.unmapped[2].reason.find("weather") != std::string::npos);
}

TEST_CASE("Errors add up by name, the line-rate model's constant is the records' own") {
  const double predicted = predict(exchange("t", with(kLowLatency, "time", 118))).predicted.count();
  const Validation validation =
      validate({exchange("a", with(kLowLatency, "time", predicted * 1e6)),
                exchange("b", with(kLowLatency, "time", predicted * 1e6 / 1.2)),
                exchange("c", with(kLowLatency, "time", predicted * 1e6 / 0.7))});
  const ErrorSummary all = summarise(validation, SummaryBy::all).front();
  CHECK(all.records == 3);
  CHECK(all.median == doctest::Approx(0.2));
  CHECK(all.worst == doctest::Approx(-0.3));
  CHECK(all.worst_id == "c");
  CHECK(validation.records[0].line_rate_error == doctest::Approx(0).epsilon(1e-9));
}

TEST_CASE("Mistakes in a record file are named with their place") {
  const auto fails = [](const std::string& record, const std::string& part) {
    try {
      validate({record});
      FAIL("no error");
    } catch (const InputError& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find(part) != std::string::npos);
    }
  };
  fails(R"({"testbed": "b", "source": "x", "typed": null})", "id");
  fails(exchange("a", with(kLowLatency, "time", 0)), "above 0");
  fails(exchange("a", with(kLowLatency, "time", 1)) + ", " +
            exchange("a", with(kLowLatency, "time", 1)),
        "two records");
}

TEST_CASE("A record that no fabric or file fits is listed with its place, and the others go on") {
  std::string ragged = with(kLowLatency, "time", 1);
  ragged.replace(ragged.find("\"ranks\": 16"), 11, "\"ranks\": 13");
  std::string unknown = exchange("b", with(kLowLatency, "time", 1));
  unknown.replace(unknown.find("H800"), 4, "H801");
  const Validation validation =
      validate({exchange("a", ragged), unknown, exchange("c", with(kLowLatency, "time", 1))});
  REQUIRE(validation.unmapped.size() == 2);
  CHECK(validation.unmapped[0].reason.find("scale_up_domain") != std::string::npos);
  CHECK(validation.unmapped[1].reason.find("h800-sxm") != std::string::npos);
  CHECK(validation.unmapped[1].reason.find("records.json:") != std::string::npos);
  CHECK(validation.records.size() == 1);
}

TEST_CASE("Conditions that move nothing, or that nobody could draw, are listed, not timed") {
  std::string both = with(kLowLatency, "time", 1);
  both.replace(both.find("dispatch"), 8, "both");
  std::string tight = exchange("b", with(kLowLatency, "time", 1) + R"(, "groups_limit": 1)");
  tight.replace(tight.find("\"top_k\": 8, \"experts\": 256"), 26, "\"top_k\": 16, \"experts\": 16");
  std::string odd = exchange("c", with(kLowLatency, "time", 1));
  odd.replace(odd.find("\"uniform\""), 9, "\"foo\"");
  const Validation validation = validate({exchange("a", both), tight, odd});
  CHECK(validation.records.empty());
  CHECK(validation.unmapped.size() == 3);
}

TEST_CASE("Ranks that do not fill their hosts are as many domains as hosts") {
  std::string keys = with(kLowLatency, "time", 100);
  keys.replace(keys.find("\"ranks\": 16"), 11, "\"ranks\": 12, \"nodes\": 2");
  CHECK(predict(exchange("a", keys)).conditions.find("12 H800") != std::string::npos);
}
