// Records of kernels and layers: rates and times alike, layers the sum of their parts.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/io/files.h"
#include "sim/validate/expert_loads.h"
#include "sim/validate/summary.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using test::TemporaryFolder;

namespace {

Validation validate(const std::vector<std::string>& typed) {
  const TemporaryFolder folder;
  std::string text = R"({"measurements": [)";
  for (std::size_t i = 0; i < typed.size(); ++i)
    text += fmt::format(R"({}{{"id": "{}", "testbed": "bed", "split": "calibrate",
                        "source": "by hand", "typed": {{{}}}}})",
                        i == 0 ? "" : ", ", i, typed[i]);
  write_file(folder / "records.json", text + "]}");
  return validate_records(folder / "records.json", "");
}

Prediction predict(const std::string& typed) {
  const Validation validation = validate({typed});
  for (const UnmappedRecord& one : validation.unmapped) INFO(one.reason);
  REQUIRE(validation.records.size() == 1);
  return validation.records[0].prediction;
}

std::string gemm(const std::string& part, const std::string& quantity, double value) {
  return fmt::format(R"("kind": "gemm", "accelerator": "H800", "part": "{}", "m": 4096, "n": 7168,
      "k": 2048, "local_experts": 4, "tokens_per_expert": 1024, "dtype": "fp8",
      "quantity": "{}", "value": {})",
                     part, quantity, value);
}

const char* const kShape =
    R"("accelerator": "H800", "ep": 16, "tokens_per_rank": 128, "hidden": 7168,
    "intermediate": 2048, "top_k": 8, "experts": 256, "routing": "uniform", "dtype": "fp8",
    "quantity": "time", "value": 500)";

std::string layer(const std::string& part, const std::string& algorithm) {
  return fmt::format(R"("kind": "moe_layer", "part": "{}", "algorithm": "{}", "tp": 1, "ranks": 16,
      "nodes": 2, "gpus_per_node": 8, "scale_up_domain": 8, "scale_out": "ib",
      "scale_out_bandwidth_gbs": 50, {})",
                     part, algorithm, kShape);
}

std::string exchange(const std::string& operation) {
  return fmt::format(R"("kind": "exchange", "algorithm": "deepep_low_latency",
      "mode": "low_latency", "operation": "{}", "ranks": 16, "gpus_per_node": 8,
      "scale_up_domain": 8, "scale_out": "ib", "scale_out_bandwidth_gbs": 50,
      "dispatch_dtype": "fp8", "combine_dtype": "bf16", "timing": "kernel", {})",
                     operation, kShape);
}

}  // namespace

TEST_CASE("A kernel's rate and the time it stands for are predicted alike") {
  for (const char* part : {"dense", "grouped_contiguous"}) {
    CAPTURE(part);
    const Prediction time = predict(gemm(part, "time", 100));
    const double teraflops = 2.0 * 4096 * 7168 * 2048 / 100e-6 / 1e12;
    const Prediction rate = predict(gemm(part, "rate", teraflops));
    CHECK(rate.unit == "TFLOPS");
    CHECK(rate.predicted == time.predicted);
    CHECK(rate.measured.count() == doctest::Approx(100e-6));
    CHECK(rate.value == doctest::Approx(teraflops * 100 / time.value));
    CHECK(time.predicted > time.at_line_rate);  // the datasheet's roofline
  }
}

TEST_CASE("A layer is its dispatch, its experts and its combine") {
  const double experts =
      predict(fmt::format(R"("kind": "moe_kernel", "part": "grouped_masked", {})", kShape))
          .predicted.count();
  const double moved = predict(exchange("dispatch")).predicted.count() +
                       predict(exchange("combine")).predicted.count();
  const Prediction whole = predict(layer("layer", "deepep_low_latency"));
  CHECK(whole.predicted.count() == doctest::Approx(experts + moved).epsilon(1e-9));
  CHECK(whole.note.empty());
}

TEST_CASE("A fused layer hides each exchange behind its product, and says so") {
  const Prediction fused = predict(layer("layer", "fused"));
  const Prediction apart = predict(layer("layer", "deepep"));
  CHECK(fused.predicted < apart.predicted);
  CHECK(2 * fused.predicted >= apart.predicted);  // no more than two run side by side
  CHECK(fused.note.find("stands in for fused") != std::string::npos);
  CHECK(fused.basis >= Basis::transferred);
}

TEST_CASE("Parts and quantities that no kernel stands for are listed with the reason") {
  std::string layer_rate = layer("slot", "deepep");
  const Validation validation =
      validate({gemm("sideways", "time", 1), gemm("dense", "memory", 1), layer_rate,
                R"("kind": "attention", "accelerator": "H800", "part": "mqa", "phase": "decode",
                "batch": 1, "sequence": 1, "context": 9, "heads": 8, "dtype": "bf16",
                "quantity": "time", "value": 1)"});
  CHECK(validation.records.empty());
  REQUIRE(validation.unmapped.size() == 4);
  CHECK(validation.unmapped[0].reason.find("sideways") != std::string::npos);
  CHECK(validation.unmapped[1].reason.find("memory") != std::string::npos);
}

TEST_CASE("Skewed loads keep their sum over the ranks below the heaviest one's share") {
  ExpertLoad load{16, 256, 16, 128, 8, true, 1.2};
  const double even = 128.0 * 8;  // copies of a rank
  for (const auto& rows : heaviest_rank_rows(load)) {
    double sum = 0;
    for (const std::uint32_t one : rows) sum += one;
    CHECK(rows.size() == 16);
    CHECK(sum >= even);
    CHECK(sum <= even * 16);
  }
  load.skewed = false;
  CHECK(heaviest_rank_rows(load) ==
        std::vector<std::vector<std::uint32_t>>{std::vector<std::uint32_t>(16, 64)});
  load.tokens_per_rank = 1;  // 8 copies among 16 experts
  CHECK(heaviest_rank_rows(load)[0] ==
        std::vector<std::uint32_t>{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("The rows of experts may be stated one by one") {
  const auto product = [](const std::string& rows) {
    return fmt::format(R"("kind": "gemm", "accelerator": "H200", "part": "grouped_contiguous",
        "n": 4096, "k": 7168, "local_experts": 4, "tokens_per_expert": {}, "dtype": "bf16",
        "quantity": "time", "value": 100)",
                       rows);
  };
  CHECK(predict(product("[64, 64, 64, 64]")).predicted == predict(product("64")).predicted);
  // One expert's weights are not read, another has all the rows.
  const Prediction skewed = predict(product("[256, 0, 0, 0]"));
  CHECK(skewed.predicted < 0.6 * predict(product("64")).predicted);
  CHECK(skewed.conditions.find("64.0 (at most 256)") != std::string::npos);
  const Validation wrong = validate({product("[1, 2]")});
  REQUIRE(wrong.unmapped.size() == 1);
  CHECK(wrong.unmapped[0].reason.find("2 numbers of rows for 4 experts") != std::string::npos);
}

TEST_CASE("Attention over grouped queries, with and without the benchmark's call") {
  const auto kernel = [](const std::string& accelerator, const std::string& timing) {
    return fmt::format(R"("kind": "attention", "part": "gqa", "phase": "decode", "batch": 32,
        "sequence": 1, "context": 4096, "heads": 64, "kv_heads": 8, "head_dim": 128,
        "accelerator": "{}", "timing": "{}", "dtype": "bf16", "quantity": "time", "value": 100)",
                       accelerator, timing);
  };
  const double bytes = 32.0 * 4096 * 8 * 128 * 2 * 2;
  CHECK(predict(kernel("H200", "kernel")).predicted.count() > bytes / 4.8e12);
  CHECK(predict(kernel("H800", "api")).predicted.count() ==
        doctest::Approx(predict(kernel("H800", "kernel")).predicted.count() + 16e-6));
}
