// Checkpoints of a few random weights, and the arithmetic of transformers in plain double precision
// loops: what tests of architectures without golden vectors compute their expectations with.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "tests/workloads/golden.h"

namespace moesim::naive {

using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;  // [rows][columns]

struct TinyCheckpoint {
  struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  nlohmann::json config;
  std::map<std::string, Tensor> tensors;
  Random random{7};

  // Normal values of this spread around `centre`.
  void add(const std::string& name,
           const std::vector<std::int64_t>& shape,
           double spread,
           double centre = 0) {
    std::int64_t size = 1;
    for (const std::int64_t side : shape) size *= side;
    Tensor tensor{shape, std::vector<float>(static_cast<std::size_t>(size))};
    for (float& value : tensor.values)
      value = static_cast<float>(centre + spread * random.normal());
    tensors[name] = std::move(tensor);
  }
  // A matrix of products of about the size of their input.
  void add_matrix(const std::string& name, std::int64_t rows, std::int64_t columns) {
    add(name, {rows, columns}, 1 / std::sqrt(static_cast<double>(columns)));
  }
  void add_norm(const std::string& name, std::int64_t size) { add(name, {size}, 0.2, 1); }
  // gate_proj, up_proj and down_proj.
  void add_network(const std::string& prefix, std::int64_t hidden, std::int64_t width) {
    add_matrix(prefix + "gate_proj.weight", width, hidden);
    add_matrix(prefix + "up_proj.weight", width, hidden);
    add_matrix(prefix + "down_proj.weight", hidden, width);
  }

  const std::vector<float>& values(const std::string& name) const {
    return tensors.at(name).values;
  }
  Vector vector(const std::string& name) const {
    return Vector(values(name).begin(), values(name).end());
  }
  // W x of a tensor [rows][columns of x].
  Vector times(const std::string& name, const Vector& x) const {
    return times_slice(name, 0, tensors.at(name).shape[0], x);
  }
  // The same of slice `slice` of a tensor [slices][rows][columns of x].
  Vector times_slice(const std::string& name,
                     std::size_t slice,
                     std::int64_t rows,
                     const Vector& x) const {
    const std::vector<float>& w = values(name);
    const auto count = static_cast<std::size_t>(rows);
    Vector y(count, 0.0);
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t c = 0; c < x.size(); ++c)
        y[r] += static_cast<double>(w[(slice * count + r) * x.size() + c]) * x[c];
    return y;
  }
  // The same of a slice stored transposed: [slices][columns of x][rows].
  Vector times_transposed(const std::string& name,
                          std::size_t slice,
                          std::int64_t rows,
                          const Vector& x) const {
    const std::vector<float>& w = values(name);
    const auto count = static_cast<std::size_t>(rows);
    Vector y(count, 0.0);
    for (std::size_t c = 0; c < x.size(); ++c)
      for (std::size_t r = 0; r < count; ++r)
        y[r] += static_cast<double>(w[(slice * x.size() + c) * count + r]) * x[c];
    return y;
  }

  void write(const std::string& folder) const {
    write_file(folder + "/config.json", config.dump(1));
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors)
      views.push_back(
          {name, Dtype::f32, tensor.shape, std::as_bytes(std::span<const float>(tensor.values))});
    write_safetensors(folder + "/model.safetensors", views, {});
  }
};

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double silu(double x) { return x * sigmoid(x); }
inline double softplus(double x) { return std::log1p(std::exp(x)); }

inline double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline void add_to(Vector& to, const Vector& x, double scale = 1) {
  for (std::size_t i = 0; i < x.size(); ++i) to[i] += scale * x[i];
}

inline Vector part(const Vector& x, std::size_t first, std::size_t count) {
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

inline Vector rms_norm(const Vector& x, const Vector& weight, double epsilon) {
  const double inverse = 1 / std::sqrt(dot(x, x) / static_cast<double>(x.size()) + epsilon);
  Vector y(x);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] *= inverse * (weight.empty() ? 1 : weight[i]);
  return y;
}

// softmax(scores, and `sink` beside them where it is finite) without the sink's share.
inline Vector softmax(const Vector& scores, double sink = -INFINITY) {
  double sum = std::exp(sink);
  for (const double score : scores) sum += std::exp(score);
  Vector shares;
  for (const double score : scores) shares.push_back(std::exp(score) / sum);
  return shares;
}

// down(silu(gate x) * (up x))
inline Vector gated_network(const TinyCheckpoint& weights,
                            const std::string& prefix,
                            const Vector& x) {
  Vector inner = weights.times(prefix + "gate_proj.weight", x);
  const Vector up = weights.times(prefix + "up_proj.weight", x);
  for (std::size_t i = 0; i < inner.size(); ++i) inner[i] = silu(inner[i]) * up[i];
  return weights.times(prefix + "down_proj.weight", inner);
}

// Ids of the k largest, by falling value.
inline std::vector<std::size_t> largest(const Vector& values, std::size_t k) {
  std::vector<std::size_t> ids(values.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = i;
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  ids.resize(k);
  return ids;
}

// Turns the pairs (x[i], x[i + dims / 2]) of the first `dims` by position / theta^(2 i / dims).
inline void rotate_halves(Vector& x, std::size_t dims, double position, double theta) {
  for (std::size_t i = 0; i < dims / 2; ++i) {
    const double angle =
        position * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dims));
    const double first = x[i], second = x[i + dims / 2];
    x[i] = first * std::cos(angle) - second * std::sin(angle);
    x[i + dims / 2] = second * std::cos(angle) + first * std::sin(angle);
  }
}

// A decoder of residual layers. `mix` sees the normed rows of all tokens, `feed` one row.
struct Model {
  const TinyCheckpoint& weights;
  double epsilon;
  std::size_t layers;
  std::function<Matrix(std::size_t layer, const Matrix& x)> mix;
  std::function<Vector(std::size_t layer, const Vector& x)> feed;
  std::string base = "model.", head = "lm_head.weight";

  std::vector<float> logits(const std::vector<std::int32_t>& tokens) const {
    const std::string name = base + "embed_tokens.weight";
    const auto hidden = static_cast<std::size_t>(weights.tensors.at(name).shape[1]);
    Matrix x;
    for (const std::int32_t token : tokens)
      x.push_back(part(weights.vector(name), static_cast<std::size_t>(token) * hidden, hidden));
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const std::string prefix = base + "layers." + std::to_string(layer) + ".";
      const Matrix mixed = mix(layer, normed(x, prefix + "input_layernorm.weight"));
      for (std::size_t t = 0; t < x.size(); ++t) add_to(x[t], mixed[t]);
      const Matrix inputs = normed(x, prefix + "post_attention_layernorm.weight");
      for (std::size_t t = 0; t < x.size(); ++t) add_to(x[t], feed(layer, inputs[t]));
    }
    std::vector<float> all;
    for (const Vector& row : normed(x, base + "norm.weight"))
      for (const double logit : weights.times(head, row)) all.push_back(static_cast<float>(logit));
    return all;
  }

  Matrix normed(const Matrix& x, const std::string& name) const {
    Matrix y;
    for (const Vector& row : x) y.push_back(rms_norm(row, weights.vector(name), epsilon));
    return y;
  }
};

// Attention of one head over given rows: out[t] = sum of softmax over the s that `sees` allows.
inline Matrix attend(const Matrix& queries,
                     const Matrix& keys,
                     const Matrix& values,
                     const std::function<bool(std::size_t query, std::size_t key)>& sees,
                     double sink = -INFINITY) {
  Matrix out;
  for (std::size_t t = 0; t < queries.size(); ++t) {
    Vector scores;
    std::vector<std::size_t> seen;
    for (std::size_t s = 0; s <= t; ++s)
      if (sees(t, s)) {
        seen.push_back(s);
        scores.push_back(dot(queries[t], keys[s]));
      }
    const Vector shares = softmax(scores, sink);
    Vector& row = out.emplace_back(values[0].size(), 0.0);
    for (std::size_t i = 0; i < seen.size(); ++i) add_to(row, values[seen[i]], shares[i]);
  }
  return out;
}

// Runs the checkpoint's model over `tokens` at once, then with half of them decoded one by one,
// then beside another request in one step; the largest difference of any logit from `expected`.
inline double worst_difference(const TinyCheckpoint& checkpoint,
                               const std::vector<std::int32_t>& tokens,
                               const std::vector<float>& expected) {
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  const ForwardModel model(folder.path());
  const double whole = largest_difference(run_tokens(model, tokens).logits, expected);
  const double decoded =
      largest_difference(run_decoding(model, tokens, tokens.size() / 2).logits, expected);
  const std::vector<std::int32_t> other(tokens.rbegin() + 2, tokens.rend());
  const auto cache = model.new_cache(), beside = model.new_cache();
  const std::vector<ForwardModel::Request> requests{{other, beside.get()}, {tokens, cache.get()}};
  std::vector<float> batched =
      model.run(requests, {.threads = 2, .logits = KeepLogits::all}).logits;
  batched.erase(batched.begin(), batched.end() - static_cast<std::ptrdiff_t>(expected.size()));
  return std::max({whole, decoded, largest_difference(batched, expected)});
}

}  // namespace moesim::naive
