// Random weights: any tensor exists, of the right size and spread, the same for the same seed.
#include "workloads/forward/random_weights.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/workloads/golden.h"
#include "workloads/forward/checkpoint.h"

namespace moesim {
namespace {

std::vector<float> rows_of(const Weight& weight, std::int64_t first, std::int64_t count) {
  Floats buffer;
  const float* values = weight.expand(first, count, buffer);
  return {values, values + count * weight.columns()};
}

TEST_CASE("a random matrix has mean 0 and a deviation of a power of two near 1 / sqrt(columns)") {
  const Checkpoint weights(std::uint64_t{1});
  for (const std::int64_t columns : {64, 1000, 7168}) {
    const auto values = rows_of(*weights.matrix("w", 512, columns), 0, 512);
    double sum = 0, squares = 0;
    for (const float value : values) {
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    const double size = static_cast<double>(values.size());
    const double deviation = std::exp2(std::round(-0.5 * std::log2(static_cast<double>(columns))));
    CHECK(std::abs(sum / size) < 5 * deviation / std::sqrt(size));
    // The squares' own deviation is sqrt(2) of their mean for normal values.
    CHECK(std::abs(squares / size / (deviation * deviation) - 1) < 5 * std::sqrt(2 / size) + 0.01);
  }
}

TEST_CASE("seed, name and slice choose the values; rows differ, also beyond the pool") {
  const Checkpoint one(std::uint64_t{1}), again(std::uint64_t{1}), two(std::uint64_t{2});
  const auto values = rows_of(*one.matrix("a", 4, 64), 0, 4);
  CHECK(values == rows_of(*again.matrix("a", 4, 64), 0, 4));
  CHECK(values != rows_of(*two.matrix("a", 4, 64), 0, 4));
  CHECK(values != rows_of(*one.matrix("b", 4, 64), 0, 4));
  const auto slice = [&](std::int64_t i) {
    return rows_of(*one.stacked({{.name = "a", .rows = 4, .slice = i, .slices = 9}}, 64), 0, 4);
  };
  CHECK(slice(1) != slice(0));
  CHECK(slice(8) != slice(7));
  // 384 experts' rows of 7168 columns, were they one tensor: 18 GB in BF16.
  const auto large = one.matrix("large", 384 * 3072, 7168);
  std::set<std::vector<float>> rows;
  for (std::int64_t row = 0; row < 384 * 3072; row += 3071) rows.insert(rows_of(*large, row, 1));
  CHECK(rows.size() == (384 * 3072 + 3070) / 3071);
}

TEST_CASE("a random matrix stored transposed can be read by rows") {
  const Checkpoint weights(std::uint64_t{1});
  const auto weight = weights.stacked({{.name = "t", .rows = 40, .transposed = true}}, 24);
  const auto whole = rows_of(*weight, 0, 40), part = rows_of(*weight, 17, 5);
  CHECK(part == std::vector<float>(whole.begin() + 17 * 24, whole.begin() + 22 * 24));
}

TEST_CASE("random vectors are what their names need") {
  const Checkpoint weights(std::uint64_t{5});
  for (const float gain : weights.vector("model.norm.weight", 500)) CHECK(std::abs(gain - 1) < 0.6);
  for (const float bias : weights.vector("k_proj.bias", 500)) CHECK(std::abs(bias) < 0.6);
  for (const float log_rate : weights.vector("mixer.A_log", 500)) {
    CHECK(log_rate >= 0);
    CHECK(log_rate < std::log(16.0F));
  }
  for (const float bias : weights.vector("mixer.dt_bias", 500)) {
    const double step = std::log1p(std::exp(static_cast<double>(bias)));  // softplus
    CHECK(step >= 0.001 * 0.999);
    CHECK(step <= 0.1 * 1.001);
  }
}

TEST_CASE("random ids are in range and differ within a row") {
  const Checkpoint weights(std::uint64_t{5});
  const auto ids = weights.ids("tid2eid", {1000, 6}, 8);
  REQUIRE(ids.size() == 6000);
  for (std::size_t row = 0; row < 1000; ++row) {
    const std::set<std::int64_t> different(ids.begin() + static_cast<std::ptrdiff_t>(6 * row),
                                           ids.begin() + static_cast<std::ptrdiff_t>(6 * row + 6));
    CHECK(different.size() == 6);
    CHECK(*different.begin() >= 0);
    CHECK(*different.rbegin() < 8);
  }
  CHECK(weights.ids("more than there are", {3, 4}, 2).size() == 12);
}

TEST_CASE("an architecture runs with random weights and no checkpoint") {
  const std::string config = golden_folder("mixtral") + "/config.json";
  const auto run = [&](std::uint64_t seed) {
    return run_tokens(ForwardModel(config, {.random_seed = seed}), {1, 2, 3, 4, 5});
  };
  const ForwardOutput output = run(1);
  CHECK(same_bits(output, run(1)));
  CHECK_FALSE(same_bits(output, run(2)));
  CHECK(std::isfinite(output.logits.front()));
}

}  // namespace
}  // namespace moesim
