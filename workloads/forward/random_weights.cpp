// Random tensors as windows on one pool of numbers.
#include "workloads/forward/random_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "sim/core/error.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

constexpr std::int64_t kPool = 2'097'143;      // a prime below 2^21
constexpr std::int64_t kLongestRow = 1 << 20;  // the pool's beginning stands behind its end again

std::uint16_t bf16_of(float value) {  // to nearest, ties to even
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

bool contains(const std::string& name, const char* part) {
  return name.find(part) != std::string::npos;
}

// One value of a tensor that is not a matrix.
float small_value(const std::string& name, Random& random) {
  double value = 0.1 * random.normal();
  if (contains(name, "norm") || contains(name, "scale") || name.ends_with(".D")) value += 1;
  if (name.ends_with("A_log")) value = std::log(1 + 15 * random.uniform());  // A in [1, 16)
  if (name.ends_with("dt_bias")) {
    // The inverse softplus of a step between 0.001 and 0.1, uniform in its logarithm.
    const double step = std::exp(std::log(0.001) + std::log(100.0) * random.uniform());
    value = step + std::log(-std::expm1(-step));
  }
  return static_cast<float>(value);
}

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

RandomWeights::RandomWeights(std::uint64_t seed) : seed_(seed) {
  Random random = Random::named(seed, "weights");
  pool_.reserve(static_cast<std::size_t>(kPool + kLongestRow));
  for (std::int64_t i = 0; i < kPool; ++i)
    pool_.push_back(bf16_of(static_cast<float>(random.normal())));
  pool_.insert(pool_.end(), pool_.begin(), pool_.begin() + kLongestRow);
}

Weight::Part RandomWeights::matrix(const std::string& name, const Shape& shape) const {
  Weight::Part part;
  part.rows = shape.rows;
  part.transposed = shape.transposed;
  part.label = "random weights: tensor " + name;
  const std::int64_t stride = shape.transposed ? shape.rows : shape.columns;
  if (stride > kLongestRow)
    throw InputError(fmt::format("{}: rows of {} elements; at most {} are implemented", part.label,
                                 stride, kLongestRow));
  const std::int64_t start = static_cast<std::int64_t>(
      Random::named(seed_, name).below(static_cast<std::uint64_t>(kPool)));
  const int exponent =
      static_cast<int>(std::lround(-0.5 * std::log2(static_cast<double>(shape.columns))));
  part.matrix.format = ElementFormat::bf16;
  part.matrix.data = reinterpret_cast<const std::byte*>(pool_.data());
  part.matrix.stride = stride;
  part.matrix.factor = std::ldexp(1.0F, exponent);
  part.matrix.wrap = kPool;
  // A prime and odd steps between slices: no two slices of a tensor are equal.
  part.matrix.start = (start + shape.slice * (shape.rows * shape.columns % kPool + 1)) % kPool;
  return part;
}

Floats RandomWeights::tensor(const std::string& name,
                             const std::vector<std::int64_t>& shape) const {
  Random random = Random::named(seed_, name);
  Floats values(static_cast<std::size_t>(product(shape)));
  const double deviation =
      shape.size() < 2
          ? 0
          : 1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(shape.back(), 1)));
  for (float& value : values)
    value = shape.size() < 2 ? small_value(name, random)
                             : static_cast<float>(deviation * random.normal());
  return values;
}

std::vector<std::int64_t> RandomWeights::ids(const std::string& name,
                                             const std::vector<std::int64_t>& shape,
                                             std::int64_t limit) const {
  Random random = Random::named(seed_, name);
  const std::int64_t row = shape.empty() ? 1 : shape.back();
  std::vector<std::int64_t> values;
  values.reserve(static_cast<std::size_t>(product(shape)));
  for (std::int64_t i = 0; i < product(shape); ++i) {
    const auto begin = values.end() - i % row;
    std::int64_t value = 0;
    do value = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(limit)));
    while (row <= limit && std::find(begin, values.end(), value) != values.end());
    values.push_back(value);
  }
  return values;
}

}  // namespace moesim
