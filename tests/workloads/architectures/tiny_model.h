// Tiny random models and plain double-precision loops: what the tests of architectures without
// golden vectors share. A naive decoder asks the model for tensors by name; what it asked for is
// what the checkpoint then holds, so a name that only the product knows is missing there.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "tests/workloads/golden.h"

namespace moesim::naive {

using Row = std::vector<double>;
using Matrix2 = std::vector<Row>;  // [rows][columns]

class TinyModel {
 public:
  explicit TinyModel(nlohmann::json values, std::uint64_t seed = 7)
      : config(std::move(values)), seed_(seed) {}

  nlohmann::json config;

  std::int64_t size(const char* key) const { return config.at(key).get<std::int64_t>(); }

  // [rows][columns] of standard deviation 1 / sqrt(columns), times `spread`.
  Matrix2 matrix(const std::string& name,
                 std::int64_t rows,
                 std::int64_t columns,
                 double spread = 1) {
    const double scale = spread / std::sqrt(static_cast<double>(columns));
    const std::vector<float>& values = tensor(name, {rows, columns}, 0, scale);
    Matrix2 result;
    for (std::int64_t row = 0; row < rows; ++row)
      result.emplace_back(values.begin() + row * columns, values.begin() + (row + 1) * columns);
    return result;
  }
  Row vector(const std::string& name, std::int64_t size, double mean, double spread) {
    const std::vector<float>& values = tensor(name, {size}, mean, spread);
    return {values.begin(), values.end()};
  }
  // Integers below `limit`, no two of a row equal.
  std::vector<std::vector<std::int64_t>> ids(const std::string& name,
                                             std::int64_t rows,
                                             std::int64_t columns,
                                             std::int64_t limit) {
    Random random = Random::named(seed_, name);
    std::vector<std::vector<std::int64_t>> table;
    std::vector<std::int64_t> all(static_cast<std::size_t>(limit));
    std::iota(all.begin(), all.end(), 0);
    for (std::int64_t row = 0; row < rows; ++row) {
      random.shuffle(std::span<std::int64_t>(all));
      table.emplace_back(all.begin(), all.begin() + columns);
    }
    tables_[name] = table;
    return table;
  }

  void write(const std::string& folder) const {
    write_file(folder + "/config.json", config.dump(1));
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors_)
      views.push_back(
          {name, Dtype::f32, tensor.shape, std::as_bytes(std::span<const float>(tensor.values))});
    std::map<std::string, std::vector<std::int64_t>> flat;
    for (const auto& [name, table] : tables_) {
      for (const auto& row : table) flat[name].insert(flat[name].end(), row.begin(), row.end());
      views.push_back(
          {name,
           Dtype::i64,
           {static_cast<std::int64_t>(table.size()), static_cast<std::int64_t>(table[0].size())},
           std::as_bytes(std::span<const std::int64_t>(flat[name]))});
    }
    write_safetensors(folder + "/model.safetensors", views, {});
  }

 private:
  struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  const std::vector<float>& tensor(const std::string& name,
                                   const std::vector<std::int64_t>& shape,
                                   double mean,
                                   double spread) {
    Tensor& tensor = tensors_[name];
    if (!tensor.values.empty()) return tensor.values;
    tensor.shape = shape;
    Random random = Random::named(seed_, name);
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    for (std::int64_t i = 0; i < count; ++i)
      tensor.values.push_back(static_cast<float>(mean + spread * random.normal()));
    return tensor.values;
  }

  std::uint64_t seed_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::vector<std::vector<std::int64_t>>> tables_;
};

inline double dot(const double* a, const double* b, std::size_t size) {
  return std::inner_product(a, a + size, b, 0.0);
}
inline Row times(const Matrix2& w, const Row& x) {
  Row y;
  for (const Row& row : w) y.push_back(dot(row.data(), x.data(), x.size()));
  return y;
}
inline Row sum(Row a, const Row& b, double scale = 1) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += scale * b[i];
  return a;
}
// x / sqrt(mean(x^2) + epsilon) * weight; empty weight = 1.
inline Row rms(const Row& x, const Row& weight, double epsilon) {
  const double inverse =
      1 / std::sqrt(dot(x.data(), x.data(), x.size()) / static_cast<double>(x.size()) + epsilon);
  Row y;
  for (std::size_t i = 0; i < x.size(); ++i)
    y.push_back(x[i] * inverse * (weight.empty() ? 1.0 : weight[i]));
  return y;
}
inline Row layer_norm(const Row& x, const Row& weight, const Row& bias, double epsilon) {
  const double count = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / count;
  double variance = 0;
  for (const double value : x) variance += (value - mean) * (value - mean) / count;
  Row y;
  for (std::size_t i = 0; i < x.size(); ++i)
    y.push_back((x[i] - mean) / std::sqrt(variance + epsilon) * weight[i] + bias[i]);
  return y;
}
inline double logistic(double x) { return 1 / (1 + std::exp(-x)); }
inline Row softmax_of(Row x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double total = 0;
  for (double& value : x) total += value = std::exp(value - largest);
  for (double& value : x) value /= total;
  return x;
}

// Turns x[first .. first + dims) by the position: neighbouring pairs, or halves.
inline void turn(Row& x,
                 std::size_t first,
                 std::size_t dims,
                 double position,
                 double theta,
                 bool neighbours,
                 double direction = 1) {
  for (std::size_t pair = 0; pair < dims / 2; ++pair) {
    const double angle =
        direction * position *
        std::pow(theta, -2.0 * static_cast<double>(pair) / static_cast<double>(dims));
    double& a = x[first + (neighbours ? 2 * pair : pair)];
    double& b = x[first + (neighbours ? 2 * pair + 1 : pair + dims / 2)];
    const double old = a;
    a = old * std::cos(angle) - b * std::sin(angle);
    b = b * std::cos(angle) + old * std::sin(angle);
  }
}

// Indices of the k largest, by falling value.
inline std::vector<std::size_t> largest(const Row& values, std::size_t k) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  order.resize(std::min(k, order.size()));
  return order;
}

// One query over the keys it sees; a sink takes part without a value.
inline Row attend_to(const Row& query,
                     const Matrix2& keys,
                     const Matrix2& values,
                     double scale,
                     const std::vector<bool>& seen,
                     const double* sink = nullptr) {
  double total = 0;
  Row out(values[0].size(), 0.0);
  for (std::size_t key = 0; key < keys.size(); ++key) {
    if (!seen[key]) continue;
    const double weight = std::exp(scale * dot(query.data(), keys[key].data(), query.size()));
    total += weight;
    out = sum(std::move(out), values[key], weight);
  }
  if (sink != nullptr) total += std::exp(*sink);
  for (double& value : out) value /= total;
  return out;
}

// down(activation(gate x, up x)).
template <class Activate>
Row gated(TinyModel& model,
          const std::string& prefix,
          const std::vector<std::string>& names,
          const Row& x,
          std::int64_t width,
          const Activate& activate) {
  const auto hidden = static_cast<std::int64_t>(x.size());
  const Row gate = times(model.matrix(prefix + names[0] + ".weight", width, hidden), x);
  const Row up = times(model.matrix(prefix + names[1] + ".weight", width, hidden), x);
  Row inner;
  for (std::size_t i = 0; i < gate.size(); ++i) inner.push_back(activate(gate[i], up[i]));
  return times(model.matrix(prefix + names[2] + ".weight", hidden, width), inner);
}
inline double silu_times(double gate, double up) { return gate * logistic(gate) * up; }

// What a naive decoder returns: logits of every token, and by MoE layer the chosen experts of every
// token, by falling weight.
struct Result {
  std::vector<float> logits;
  std::vector<std::vector<std::uint16_t>> experts;
};

inline void add_choice(const std::vector<std::size_t>& chosen,
                       const Row& weights,
                       std::vector<std::uint16_t>& to) {
  Row of_chosen;
  for (const std::size_t expert : chosen) of_chosen.push_back(weights[expert]);
  for (const std::size_t place : largest(of_chosen, chosen.size()))
    to.push_back(static_cast<std::uint16_t>(chosen[place]));
}

inline void add_logits(TinyModel& model,
                       const std::string& head,
                       const Row& hidden,
                       std::vector<float>& to) {
  for (const double value :
       times(model.matrix(head, model.size("vocab_size"), static_cast<std::int64_t>(hidden.size())),
             hidden))
    to.push_back(static_cast<float>(value));
}

// The product on the same checkpoint: whole, token by token, cut in two, and beside another
// request.
inline void check_against(const TinyModel& model,
                          const Result& expected,
                          const std::vector<std::int32_t>& tokens) {
  constexpr double kTolerance = 1e-4;  // float32 against double through a few layers
  const test::TemporaryFolder folder;
  model.write(folder.path());
  const ForwardModel product(folder.path());
  const ForwardOutput whole = run_tokens(product, tokens);
  CHECK(largest_difference(whole.logits, expected.logits) <= kTolerance);
  CHECK(same_bits(run_tokens(product, tokens, 3), whole));
  REQUIRE(whole.routing.size() == expected.experts.size());
  for (std::size_t layer = 0; layer < expected.experts.size(); ++layer)
    CHECK(whole.routing[layer].experts == expected.experts[layer]);
  for (const std::size_t decoded : {tokens.size() - 1, tokens.size() / 2}) {
    const ForwardOutput steps = run_decoding(product, tokens, decoded);
    CHECK(largest_difference(steps.logits, whole.logits) <= kTolerance);
    for (std::size_t layer = 0; layer < expected.experts.size(); ++layer)
      CHECK(steps.routing[layer].experts == whole.routing[layer].experts);
  }
  const std::vector<std::int32_t> other(tokens.rbegin(), tokens.rend());
  const auto a = product.new_cache(), b = product.new_cache();
  const std::vector<ForwardModel::Request> requests{{other, a.get()}, {tokens, b.get()}};
  const ForwardOutput both =
      product.run(requests, {.threads = 2, .logits = KeepLogits::all, .keep_blocks = false});
  const std::vector<float> second(
      both.logits.begin() + static_cast<std::ptrdiff_t>(both.logits.size() / 2), both.logits.end());
  CHECK(largest_difference(second, whole.logits) <= kTolerance);
}

// Whether another value of a key changes the product's logits: the key is read, and the model shows
// it.
inline bool matters(const TinyModel& model,
                    const std::vector<std::int32_t>& tokens,
                    const nlohmann::json& changes) {
  TinyModel changed = model;
  changed.config.merge_patch(changes);
  const test::TemporaryFolder one, other;
  model.write(one.path());
  changed.write(other.path());
  return largest_difference(run_tokens(ForwardModel(one.path()), tokens).logits,
                            run_tokens(ForwardModel(other.path()), tokens).logits) > 1e-3;
}

}  // namespace moesim::naive
