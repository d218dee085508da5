// Projecting, keeping what open windows need, and closing windows.
#include "workloads/forward/key_compressor.h"

#include <algorithm>
#include <cmath>

#include "workloads/forward/kernels.h"

namespace moesim {

KeyCompressor::KeyCompressor(const CompressorParameters& parameters,
                             const Checkpoint& weights,
                             const std::string& prefix)
    : parameters_(parameters), width_((parameters.overlapping ? 2 : 1) * parameters.head_dim) {
  projections_ = weights.stacked({{.name = prefix + "wkv.weight", .rows = width_},
                                  {.name = prefix + "wgate.weight", .rows = width_}},
                                 parameters.hidden);
  const auto bias = weights.matrix(prefix + "ape", parameters.ratio, width_);
  Floats buffer;
  const float* values = bias->expand(0, parameters.ratio, buffer);
  bias_.assign(values, values + parameters.ratio * width_);
  norm_ = load_rms_norm(weights, prefix + "norm", parameters.head_dim, parameters.norm_epsilon);
}

Rows KeyCompressor::project(const ForwardStep& step, const ConstMatrix& x) const {
  Rows projected(step.tokens, 2 * width_);
  linear(step.pool, x, *projections_, nullptr, projected.view);
  return projected;
}

void KeyCompressor::append(ThreadPool& pool,
                           const Segment& segment,
                           const ConstMatrix& projected,
                           const RopeTable& table,
                           CompressorState& state) const {
  const std::int64_t ratio = parameters_.ratio, dim = parameters_.head_dim, stride = 2 * width_;
  const std::int64_t first = segment.first_position, done = first / ratio;
  const std::int64_t windows = segment.end_position() / ratio;
  // Dropped only now that this call begins behind them: a call that fails is followed by one that
  // begins where it did.
  const std::int64_t needed =
      std::max<std::int64_t>(done - (parameters_.overlapping ? 1 : 0), 0) * ratio;
  state.raw.resize(static_cast<std::size_t>((first - state.first_raw) * stride));
  state.raw.erase(state.raw.begin(), state.raw.begin() + (needed - state.first_raw) * stride);
  state.first_raw = needed;
  state.raw.reserve(state.raw.size() + static_cast<std::size_t>(projected.rows * stride));
  for (std::int64_t row = 0; row < projected.rows; ++row)
    state.raw.insert(state.raw.end(), projected.row(row), projected.row(row) + stride);
  state.entries.resize(static_cast<std::size_t>(windows * dim));
  const double flops = 30.0 * static_cast<double>((windows - done) * ratio * width_);
  pool.run(static_cast<std::size_t>(windows - done), flops, [&](std::size_t index, Scratch&) {
    const std::int64_t window = done + static_cast<std::int64_t>(index);
    float* entry = state.entries.data() + window * dim;
    compress(window, state, entry);
    const Matrix one{entry, 1, dim, dim};
    norm_.apply(one.read(), one);
    table.rotate(entry + dim - parameters_.rotated_dim, window * ratio);
  });
}

// The softmax runs over the window's tokens (and the previous window's), for every channel alone.
void KeyCompressor::compress(std::int64_t window,
                             const CompressorState& state,
                             float* entry) const {
  const std::int64_t ratio = parameters_.ratio, dim = parameters_.head_dim, stride = 2 * width_;
  const bool previous = parameters_.overlapping && window > 0;
  const std::int64_t first = previous ? -ratio : 0;
  const float* origin = state.raw.data() + (window * ratio - state.first_raw) * stride;
  Floats gates(static_cast<std::size_t>(ratio - first));
  for (std::int64_t channel = 0; channel < dim; ++channel) {
    // Tokens of the previous window give their first half, those of the window their last.
    const auto column = [&](std::int64_t token) {
      return token < 0 ? channel : channel + width_ - dim;
    };
    for (std::int64_t token = first; token < ratio; ++token) {
      const std::int64_t place = token < 0 ? token + ratio : token;
      gates[static_cast<std::size_t>(token - first)] =
          origin[token * stride + width_ + column(token)] +
          bias_[static_cast<std::size_t>(place * width_ + column(token))];
    }
    softmax(gates);
    float sum = 0;
    for (std::int64_t token = first; token < ratio; ++token)
      sum +=
          gates[static_cast<std::size_t>(token - first)] * origin[token * stride + column(token)];
    entry[channel] = sum;
  }
}

}  // namespace moesim
