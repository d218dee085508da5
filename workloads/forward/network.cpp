// Up, activation, down: over the pool, or on one thread for the rows of one expert.
#include "workloads/forward/network.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

float gelu_tanh(float x) {
  constexpr float kRoot = 0.7978845608F;  // sqrt(2 / pi)
  return 0.5F * x * (1.0F + std::tanh(kRoot * (x + 0.044715F * x * x * x)));
}

float gelu_erf(float x) { return 0.5F * x * (1.0F + std::erf(x / std::numbers::sqrt2_v<float>)); }

// Brings alternating gate, up into two halves.
void separate(float* row, std::int64_t width, float* spare) {
  for (std::int64_t i = 0; i < width; ++i) {
    spare[i] = row[2 * i + 1];
    row[i] = row[2 * i];
  }
  std::copy_n(spare, width, row + width);
}

void clamp_gated(const Activation& activation, float* gate, float* up, std::int64_t width) {
  for (std::int64_t i = 0; i < width; ++i) {
    gate[i] = std::min(gate[i], activation.limit);
    up[i] = std::clamp(up[i], -activation.limit, activation.limit);
  }
}

void activate_gated(const Activation& activation, float* gate, std::int64_t width) {
  float* up = gate + width;
  if (activation.limit > 0) clamp_gated(activation, gate, up, width);
  switch (activation.kind) {
    case ActivationKind::clamped_gated:
      for (std::int64_t i = 0; i < width; ++i)
        gate[i] = (up[i] + 1.0F) * gate[i] / (1.0F + std::exp(-activation.alpha * gate[i]));
      return;
    case ActivationKind::gelu_gated:
      for (std::int64_t i = 0; i < width; ++i) gate[i] = gelu_tanh(gate[i]) * up[i];
      return;
    default:
      silu_product({gate, static_cast<std::size_t>(width)}, up, gate);
  }
}

float activate_plain(ActivationKind kind, float x) {
  const float positive = std::max(x, 0.0F);
  switch (kind) {
    case ActivationKind::gelu:
      return gelu_erf(x);
    case ActivationKind::gelu_tanh:
      return gelu_tanh(x);
    case ActivationKind::silu:
      return x / (1.0F + std::exp(-x));
    case ActivationKind::relu_squared:
      return positive * positive;
    default:
      return positive;
  }
}

void activate_plain(ActivationKind kind, float* row, std::int64_t width) {
  for (std::int64_t i = 0; i < width; ++i) row[i] = activate_plain(kind, row[i]);
}

std::int64_t width_of(const Network& network) { return network.down->columns(); }

// Leaves the activated values in the front `width` columns of rows first .. end.
void activate(const Network& network, const Matrix& inner, std::int64_t first, std::int64_t end) {
  const Activation& activation = network.activation;
  const std::int64_t width = width_of(network);
  Floats spare(activation.interleaved ? static_cast<std::size_t>(width) : 0);
  for (std::int64_t row = first; row < end; ++row) {
    float* values = inner.row(row);
    if (!activation.gated()) {
      activate_plain(activation.kind, values, width);
      continue;
    }
    if (activation.interleaved) separate(values, width, spare.data());
    activate_gated(activation, values, width);
  }
}

ConstMatrix activated(const Network& network, const Matrix& inner) {
  return {inner.data, inner.rows, width_of(network), inner.stride};
}

class DenseFeedForward : public FeedForward {
 public:
  explicit DenseFeedForward(Network network) : network_(std::move(network)) {}
  bool routed() const override { return false; }
  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           RoutingSink&) const override {
    run_network(step.pool, network_, x, out);
  }

 private:
  Network network_;
};

}  // namespace

Network load_network(const Checkpoint& weights,
                     const std::string& prefix,
                     const NetworkNames& names,
                     const NetworkShape& shape) {
  Network network;
  network.activation = shape.activation;
  std::vector<std::string> up{names.up};
  if (shape.activation.gated()) up.insert(up.begin(), names.gate);
  std::vector<Checkpoint::Request> requests;
  for (const std::string& name : up) {
    requests.push_back({.name = prefix + name + ".weight", .rows = shape.width});
    if (!shape.bias) continue;
    const Floats bias = weights.vector(prefix + name + ".bias", shape.width);
    network.up_bias.insert(network.up_bias.end(), bias.begin(), bias.end());
  }
  network.up = weights.stacked(requests, shape.hidden);
  network.down = weights.matrix(prefix + names.down + ".weight", shape.hidden, shape.width);
  if (shape.bias) network.down_bias = weights.vector(prefix + names.down + ".bias", shape.hidden);
  return network;
}

void run_network(ThreadPool& pool,
                 const Network& network,
                 const ConstMatrix& x,
                 const Matrix& out) {
  const Rows inner(x.rows, network.up->rows());
  linear(pool, x, *network.up, data_or_null(network.up_bias), inner.view);
  constexpr std::int64_t kTileRows = 32;
  pool.run(static_cast<std::size_t>((x.rows + kTileRows - 1) / kTileRows),
           10.0 * static_cast<double>(inner.values.size()), [&](std::size_t tile, Scratch&) {
             const std::int64_t first = static_cast<std::int64_t>(tile) * kTileRows;
             activate(network, inner.view, first, std::min(first + kTileRows, x.rows));
           });
  linear(pool, activated(network, inner.view), *network.down, data_or_null(network.down_bias), out);
}

void run_network_here(const Network& network,
                      const ConstMatrix& x,
                      const Matrix& out,
                      Scratch& scratch) {
  const std::int64_t columns = network.up->rows();
  const Matrix inner{at_least(scratch.inner, static_cast<std::size_t>(x.rows * columns)), x.rows,
                     columns, columns};
  linear_here(x, *network.up, data_or_null(network.up_bias), inner, scratch);
  activate(network, inner, 0, x.rows);
  linear_here(activated(network, inner), *network.down, data_or_null(network.down_bias), out,
              scratch);
}

std::unique_ptr<FeedForward> make_dense(Network network) {
  return std::make_unique<DenseFeedForward>(std::move(network));
}

}  // namespace moesim
