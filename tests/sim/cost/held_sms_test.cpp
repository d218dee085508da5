// What kernels lose beside one that holds SMs, and which calibration a precision takes.
#include "sim/cost/held_sms.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "sim/cost/efficiency.h"
#include "sim/cost/kernel_timer.h"
#include "sim/io/files.h"

using namespace moesim;

TEST_CASE("Held SMs take speed, less than their share of the GPU, and never all") {
  CHECK(speed_taken(0, 132, KernelMix::mixed) == 0);
  CHECK(speed_taken(20, 0, KernelMix::compute) == 0);  // an accelerator that states no SMs
  double before = 0;
  for (const int held : {1, 8, 24, 64, 120}) {
    CAPTURE(held);
    const double taken = speed_taken(held, 132, KernelMix::compute);
    CHECK(taken > before);
    CHECK(taken < held / 132.0);
    CHECK(taken > speed_taken(held, 132, KernelMix::mixed));
    before = taken;
  }
  CHECK(speed_taken(132, 132, KernelMix::mixed) == doctest::Approx(0.95));
  CHECK(speed_taken(1000, 132, KernelMix::compute) == doctest::Approx(0.95));
}

// Predicted over measured times - 1 of kernels beside one that holds SMs, by size.
std::vector<double> errors_beside(KernelMix mix, const std::vector<std::string>& kernels) {
  std::map<std::string, double> alone;
  std::vector<double> errors;
  std::ifstream lines(data_path("topologies/calibration/measured/h200.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row.at("section") != "interference") continue;
    const std::string kernel = row.at("kernel");
    const double time = row.at("time_us");
    const int held = row.at("sms");
    if (held == 0) alone[kernel] = time;
    if (held == 0 || std::find(kernels.begin(), kernels.end(), kernel) == kernels.end()) continue;
    errors.push_back(std::abs(alone.at(kernel) / (1 - speed_taken(held, 132, mix)) / time - 1));
  }
  std::sort(errors.begin(), errors.end());
  return errors;
}

TEST_CASE("Measured slowdowns on an H200 are met") {
  std::vector<std::string> kernels{"dense", "experts compute", "attention prefill"};
  const std::vector<double> compute = errors_beside(KernelMix::compute, kernels);
  REQUIRE(compute.size() == 36);
  CHECK(compute[18] < 0.06);
  CHECK(compute[32] < 0.13);
  kernels.insert(kernels.end(), {"experts mixed", "experts memory", "attention decode"});
  const std::vector<double> all = errors_beside(KernelMix::mixed, kernels);
  REQUIRE(all.size() == 72);
  CHECK(all[36] < 0.08);
  CHECK(all[65] < 0.22);
}

TEST_CASE("A kernel takes the constants of its own precision where its kind of GPU has them") {
  const auto found = [](const char* accelerator, const char* kernel, const char* precision) {
    const Efficiency entry = load_efficiencies(accelerator).of(kernel, precision);
    return entry.accelerator + " " + entry.precision;
  };
  CHECK(found("h800-sxm", "dense_gemm", "fp8") == "h800-sxm fp8");
  CHECK(found("h800-sxm", "dense_gemm", "bf16") == "h200-sxm bf16");
  CHECK(found("h200-sxm", "grouped_gemm_contiguous", "bf16") == "h200-sxm bf16");
  CHECK(found("h20-sxm", "dense_gemm", "bf16") == "h20-sxm fp8");  // of a seventh of the peak
  // Another kind of GPU's bf16 says less of it than its own kind's fp8.
  CHECK(found("b200-sxm", "grouped_gemm_contiguous", "bf16") == "b200-sxm fp8");
  CHECK(load_efficiencies("h200-sxm").tiles_of("bf16").split > Seconds(0));
  CHECK(load_efficiencies("h200-sxm").tiles_of("fp8").split == Seconds(0));
  CHECK(load_efficiencies("h200-sxm").basis("dense_gemm", "bf16") == Basis::calibrated);
  CHECK(load_efficiencies("h100-sxm").basis("dense_gemm", "bf16") == Basis::transferred);
}

TEST_CASE("Where compute and memory take alike, a kernel with a knee takes longer than either") {
  const Accelerator gpu = load_accelerator("h200-sxm");
  const KernelTimer timer(gpu);
  const auto time_of = [&](double flops, double bytes) {
    const KernelWork work{"grouped_gemm_contiguous", Flops(flops), Bytes(bytes), "bf16"};
    return (timer.time(work).time - timer.efficiencies().of(work.kernel, "bf16").launch).count();
  };
  const double compute = time_of(1e12, 0), memory = time_of(0, 1e9);
  const double alike = time_of(1e12, 1e9 * compute / memory);
  CHECK(alike == doctest::Approx(compute * std::pow(2.0, 0.25)));
  CHECK(time_of(1e12, 1e6) == doctest::Approx(compute));
}
