// Row by row, all channels at once: the weights are turned to [kernel][channels] when loaded.
#include "workloads/forward/causal_convolution.h"

#include <algorithm>

#include "workloads/forward/kernels.h"

namespace moesim {

CausalConvolution::CausalConvolution(const Checkpoint& weights,
                                     const std::string& prefix,
                                     std::int64_t channels,
                                     std::int64_t kernel,
                                     bool bias)
    : channels_(channels), kernel_(kernel) {
  const Floats stored = weights.tensor(prefix + "conv1d.weight", {channels, 1, kernel});
  weights_.resize(stored.size());
  for (std::int64_t channel = 0; channel < channels; ++channel)
    for (std::int64_t i = 0; i < kernel; ++i)
      weights_[static_cast<std::size_t>(i * channels + channel)] =
          stored[static_cast<std::size_t>(channel * kernel + i)];
  if (bias)
    bias_ = weights.vector(prefix + "conv1d.bias", channels);
  else
    bias_.assign(static_cast<std::size_t>(channels), 0.0F);
  ones_.assign(static_cast<std::size_t>(channels), 1.0F);
}

Floats CausalConvolution::new_history() const {
  Floats history;
  history.assign(static_cast<std::size_t>((kernel_ - 1) * channels_), 0.0F);
  return history;
}

void CausalConvolution::run(ThreadPool& pool,
                            const ConstMatrix& x,
                            Floats& history,
                            const Matrix& out) const {
  const double flops = 4.0 * static_cast<double>(x.rows * channels_ * (kernel_ + 4));
  for_rows(pool, x.rows, flops,
           [&](std::int64_t token) { run_row(x, history, token, out.row(token)); });
  keep_end(x, history);
}

void CausalConvolution::run_row(const ConstMatrix& x,
                                const Floats& history,
                                std::int64_t token,
                                float* out) const {
  std::copy(bias_.begin(), bias_.end(), out);
  for (std::int64_t i = 0; i < kernel_; ++i) {
    const std::int64_t from = token - (kernel_ - 1) + i;  // below 0: in the history
    const float* row = from >= 0 ? x.row(from) : history.data() + (from + kernel_ - 1) * channels_;
    const float* weight = weights_.data() + i * channels_;
    for (std::int64_t channel = 0; channel < channels_; ++channel)
      out[channel] += weight[channel] * row[channel];
  }
  silu_product({out, static_cast<std::size_t>(channels_)}, ones_.data(), out);
}

void CausalConvolution::keep_end(const ConstMatrix& x, Floats& history) const {
  const std::int64_t rows = kernel_ - 1;
  const std::int64_t kept = std::max<std::int64_t>(rows - x.rows, 0);  // old rows that stay
  std::copy(history.end() - kept * channels_, history.end(), history.begin());
  for (std::int64_t row = kept; row < rows; ++row)
    std::copy_n(x.row(x.rows - rows + row), channels_, history.data() + row * channels_);
}

}  // namespace moesim
