// The vector kernels against the standard library in double precision, and the pool's promises.
#include "workloads/forward/kernels.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "workloads/forward/thread_pool.h"

namespace moesim {
namespace {

// Values in [-scale, scale] that are no simple pattern to vector code.
std::vector<float> wave(std::size_t size, float scale) {
  std::vector<float> values;
  for (std::size_t i = 0; i < size; ++i)
    values.push_back(scale * std::sin(1.7F * static_cast<float>(i * i % 101)));
  return values;
}

TEST_CASE("softmax is exp(x) / sum for every length, also far apart") {
  for (const float scale : {1.0F, 30.0F, 200.0F})
    for (std::size_t size = 1; size < 40; ++size) {
      const auto x = wave(size, scale);
      const double largest = *std::max_element(x.begin(), x.end());
      double sum = 0;
      for (const float value : x) sum += std::exp(value - largest);
      auto y = x;
      softmax(y);
      for (std::size_t i = 0; i < size; ++i) {
        const double expected = std::exp(x[i] - largest) / sum;
        // x - largest is rounded to float first, which the exponential turns into a relative error.
        const double rounding = std::ldexp(largest - x[i], -24);
        CHECK(std::abs(y[i] - expected) <= (1e-6 + rounding) * expected + 1e-37);
      }
    }
}

TEST_CASE("rms_norm divides by the root of the mean square") {
  for (const std::size_t size : {1, 7, 8, 12, 32, 33}) {
    const auto x = wave(size, 3), weight = wave(size, 2);
    const double squares = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
    std::vector<float> y(size);
    rms_norm(x, weight, 1e-3F, y.data());
    const double root = std::sqrt(squares / static_cast<double>(size) + 1e-3);
    for (std::size_t i = 0; i < size; ++i) CHECK(std::abs(y[i] - x[i] / root * weight[i]) <= 1e-6);
  }
}

TEST_CASE("silu_product is x / (1 + exp(-x)) * up, also far out") {
  for (const float scale : {1.0F, 20.0F, 500.0F}) {
    const auto gate = wave(29, scale), up = wave(29, 1.5F);
    std::vector<float> y(29);
    silu_product(gate, up.data(), y.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double expected = gate[i] / (1 + std::exp(-static_cast<double>(gate[i]))) * up[i];
      CHECK(std::abs(y[i] - expected) <= 1e-6 * std::abs(expected) + 1e-30);
    }
  }
}

TEST_CASE("add_scaled adds scale times x") {
  const auto x = wave(21, 1);
  std::vector<float> y(21, 2.0F);
  add_scaled(x, 0.5F, y.data());
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(2.0 + 0.5 * x[i]));
}

TEST_CASE("the pool runs every index once and throws the failure of the lowest") {
  constexpr double kMuchWork = 1e9;
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::vector<std::atomic<int>> calls(37);
      pool.run(calls.size(), kMuchWork, [&](std::size_t index, Scratch&) { ++calls[index]; });
      CHECK(std::all_of(calls.begin(), calls.end(), [](const auto& count) { return count == 1; }));
    }
    const auto fail = [](std::size_t index, Scratch&) {
      if (index >= 5) throw std::out_of_range(std::to_string(index));
    };
    CHECK_THROWS_WITH_AS(pool.run(37, kMuchWork, fail), "5", std::out_of_range);
    pool.run(3, kMuchWork, [](std::size_t, Scratch&) {});  // the failure does not linger
  }
}

}  // namespace
}  // namespace moesim
