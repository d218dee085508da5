// Memory records: which part and whose rank a record means.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "sim/io/files.h"
#include "sim/memory/rank_memory.h"
#include "sim/memory/served_plan.h"
#include "sim/validate/summary.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using test::TemporaryFolder;

namespace {

Validation validate(const std::string& typed) {
  const TemporaryFolder folder;
  write_file(folder / "records.json",
             fmt::format(R"({{"measurements": [{{"id": "a", "testbed": "bed", "source": "by hand",
             "typed": {{"kind": "memory", "quantity": "memory", {}}}}}]}})",
                         typed));
  return validate_records(folder / "records.json", "");
}

double predicted(const std::string& typed, const std::string& rest = R"(, "value": 1)") {
  const Validation validation = validate(typed + rest);
  if (!validation.unmapped.empty()) return -1;
  return validation.records[0].prediction.value;
}

std::string reason(const std::string& typed) {
  const Validation validation = validate(typed + R"(, "value": 1)");
  REQUIRE(validation.unmapped.size() == 1);
  return validation.unmapped[0].reason;
}

constexpr double kFp8 = 1 + 4.0 / (128 * 128);

}  // namespace

TEST_CASE("a memory record is compared by its value alone") {
  const Validation validation = validate(
      R"("model": "deepseek-v3.2", "part": "kv_cache", "dtype": "fp8", "layers": 1, "batch": 1,
         "context": 1, "value": 640)");
  REQUIRE(validation.records.size() == 1);
  CHECK(validation.records[0].prediction.value == 656);
  CHECK(validation.records[0].error == doctest::Approx(656.0 / 640 - 1));
  CHECK_FALSE(validation.records[0].prediction.timed);
}

TEST_CASE("a cache record counts layers where it states them, else the model's") {
  CHECK(predicted(R"("model": "deepseek-v3.2", "part": "kv_cache", "dtype": "bf16", "layers": 62,
                     "batch": 1, "context": 131072)") == 576 * 2 * 62 * 131072.0);
  CHECK(predicted(R"("model": "deepseek-v3", "part": "kv_cache", "batch": 4, "context": 1000)") ==
        4000 * 70272.0);
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "kv_cache", "accelerator": "H100",
                     "ranks": 4, "tp": 4, "context": 367404)") == 367404 * 48128.0);
}

TEST_CASE("weights are those of one rank, as the sizes say") {
  const MoeModel model = load_model("qwen3-235b-a22b");
  const double whole = 2 * static_cast<double>(count_parameters(model).total);
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "weights", "ranks": 1)") == whole);
  const double experts = 94 * 128 * 3 * 4096.0 * 1536 * 2;
  // Eight ranks: experts and the other matrices an eighth each, but one of four KV heads.
  const double eight =
      predicted(R"("model": "qwen3-235b-a22b", "part": "weights", "accelerator": "H100", "tp": 8)");
  const double vectors = 94 * (2 * 4096.0 + 2 * 128 + 4096.0 * 128) + 4096,
               key_value = 94 * 4096 * 2 * 4 * 128.0;
  CHECK(eight ==
        doctest::Approx((whole - 2 * vectors - 2 * key_value) / 8 + 2 * vectors + 2 * key_value / 4)
            .epsilon(1e-12));
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "weights", "accelerator": "H100", "tp": 8,
                     "ep": 8)") == doctest::Approx(eight).epsilon(1e-12));
  // DP attention: all but the experts on every rank, whichever engine's sizes say so.
  const double attention = predicted(
      R"("model": "qwen3-235b-a22b", "part": "weights", "accelerator": "H200", "tp": 1, "dp": 8,
         "ep": 8, "ranks": 8)");
  CHECK(attention == doctest::Approx(whole - experts * 7 / 8).epsilon(1e-12));
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "weights", "accelerator": "H200",
                     "ep": 8)") == doctest::Approx(attention).epsilon(1e-12));
  // SGLang splits its head over all eight.
  const double head = 151936.0 * 4096 * 2;
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "weights", "accelerator": "H200", "tp": 8,
                     "dp": 8, "ep": 8, "ranks": 8)") ==
        doctest::Approx(attention - head * 7 / 8).epsilon(1e-12));
}

TEST_CASE("another format than the model's own is the record's") {
  const double matrices =
                   94 * (4096.0 * (64 + 4 + 4) * 128 + 64 * 128 * 4096.0 + 128 * 3 * 4096.0 * 1536),
               whole = static_cast<double>(count_parameters(load_model("qwen3-235b-a22b")).total);
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "weights", "dtype": "fp8")") ==
        doctest::Approx(matrices * kFp8 + 2 * (whole - matrices)).epsilon(1e-12));
  const double experts = 94 * 128 * 3 * 4096.0 * 1536;
  CHECK(predicted(R"("model": "qwen3-235b-a22b", "part": "file", "dtype": "nvfp4")") ==
        doctest::Approx(experts * 4.5 / 8 + 2 * (whole - experts)).epsilon(1e-12));
}

TEST_CASE("layers and experts beyond the model's are those that were loaded") {
  const MoeModel model = load_model("mixtral-8x7b");
  const double layer = 2 * (32 * (4096.0 * 48 * 128 + 4096.0 * 4096 + 2 * 4096 + 4096 * 8) / 32 +
                            8 * 3 * 4096.0 * 14336);
  const double two =
      predicted(R"("model": "mixtral-8x7b", "part": "weights", "ranks": 1, "layers": 2)");
  CHECK(predicted(R"("model": "mixtral-8x7b", "part": "weights", "ranks": 1, "layers": 3)") - two ==
        doctest::Approx(layer).epsilon(1e-12));
  const std::string eight =
      R"("model": "mixtral-8x7b", "part": "weights", "accelerator": "H200", "ep": 8)";
  CHECK(predicted(eight + R"(, "experts": 16)") - predicted(eight) ==
        doctest::Approx(32 * 3 * 4096.0 * 14336 * 2).epsilon(1e-12));
}

TEST_CASE("experts that ranks cannot share evenly get redundant ones") {
  // 256 experts on 144 ranks: two slots each, as DeepSeek's decode units have.
  const std::string units = R"("model": "deepseek-v3", "part": "weights", "accelerator": "H800")";
  const double one = 58 * 44040192.0 * kFp8;
  CHECK(predicted(units + R"(, "ep": 144)") - predicted(units + R"(, "ep": 256)") ==
        doctest::Approx(one).epsilon(1e-9));
}

TEST_CASE("what an engine takes in all is its fraction and what it cannot count") {
  const RuntimeMemory& constants = runtime_memory();
  const double memory = 80 * 1073741824.0, driver = constants.driver_share * memory;
  CHECK(predicted(R"("model": "olmoe-1b-7b", "part": "in_use", "accelerator": "H100", "tp": 1)") ==
        doctest::Approx(0.9 * (memory - driver) - constants.libraries.value +
                        constants.context.value + constants.graphs.value)
            .epsilon(1e-9));
}

TEST_CASE("weights and pools of published logs are met") {
  const Validation validation =
      validate_records(data_path("topologies/calibration/records/memory_logs.json"), "");
  CHECK(validation.unmapped.empty());
  for (const ValidatedRecord& one : validation.records) {
    CAPTURE(one.record.id);
    CAPTURE(one.error);
    // docs/models.md has what is known of the one that is not met.
    const bool known = one.record.testbed == "H200-InferenceX-2128";
    if (one.prediction.what == "memory weights" && !known) CHECK(std::abs(one.error) < 0.03);
    if (one.prediction.what == "memory kv_cache") CHECK(std::abs(one.error) < 0.02);
  }
}

TEST_CASE("buffers of a library need no model") {
  CHECK(predicted(R"("part": "in_use", "algorithm": "deepep", "mode": "low_latency", "ranks": 8,
                     "tokens_per_rank": 128, "hidden": 7168, "top_k": 8, "experts": 288)") ==
        2 * (288.0 * 128 * 14336 + 288.0 * 128 * 14352) + 8 * 288);
}

TEST_CASE("what no key decides is listed with its reason") {
  CHECK(reason(R"("part": "weights")") == "no model and no exchange algorithm");
  CHECK(reason(R"("model": "mixtral-8x7b", "part": "mtp_weights")").find("prediction module") !=
        std::string::npos);
  CHECK(reason(R"("model": "mixtral-8x7b", "part": "kv_cache")").find("without context") !=
        std::string::npos);
  CHECK(reason(R"("model": "mixtral-8x7b", "part": "in_use")").find("without context") !=
        std::string::npos);
  CHECK(reason(R"("model": "mixtral-8x7b", "part": "wights")").find("weights") !=
        std::string::npos);
}

TEST_CASE("a number of devices is the smallest power of two with room for a cache") {
  // 93.4 GB of bf16 weights: one GPU of 80 GiB is too small, two hold half of them each.
  const Validation validation = validate(
      R"("model": "mixtral-8x7b", "part": "weights", "accelerator": "H100", "value": 2,
         "batch": null)");
  CHECK(validation.records.size() == 1);
  const TemporaryFolder folder;
  write_file(folder / "r.json",
             R"({"measurements": [{"id": "a", "testbed": "b", "source": "s", "typed":
             {"kind": "memory", "quantity": "devices", "value": 2, "model": "mixtral-8x7b",
              "part": "weights", "accelerator": "H100"}}]})");
  const Validation devices = validate_records(folder / "r.json", "");
  REQUIRE(devices.records.size() == 1);
  CHECK(devices.records[0].prediction.value == 2);
  CHECK(devices.records[0].prediction.unit == "GPUs");
}
