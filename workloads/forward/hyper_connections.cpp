// The weights of the streams, and mixing by them.
#include "workloads/forward/hyper_connections.h"

#include <algorithm>
#include <cmath>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

// function * (streams / their common root mean square), [tokens][rows of function].
Rows project(ThreadPool& pool,
             const ConstMatrix& residual,
             const Weight& function,
             float norm_epsilon) {
  const Rows normed(residual.rows, residual.columns);
  const Floats ones(static_cast<std::size_t>(residual.columns), 1.0F);
  for_rows(pool, residual.rows, 4.0 * static_cast<double>(normed.values.size()),
           [&](std::int64_t row) {
             rms_norm({residual.row(row), ones.size()}, ones, norm_epsilon, normed.view.row(row));
           });
  Rows projected(residual.rows, function.rows());
  linear(pool, normed.read(), function, nullptr, projected.view);
  return projected;
}

// hidden = sum over streams of weight * stream.
void weighted_sum(const float* streams, std::span<const float> weights, std::span<float> hidden) {
  std::fill(hidden.begin(), hidden.end(), 0.0F);
  for (const float weight : weights) {
    add_scaled({streams, hidden.size()}, weight, hidden.data());
    streams += hidden.size();
  }
}

// Divides every row (stride 1) or column by its sum; x [n][n].
void divide_by_sums(std::span<float> x, std::size_t n, bool rows, float epsilon) {
  for (std::size_t line = 0; line < n; ++line) {
    float sum = epsilon;
    for (std::size_t i = 0; i < n; ++i) sum += rows ? x[line * n + i] : x[i * n + line];
    for (std::size_t i = 0; i < n; ++i) (rows ? x[line * n + i] : x[i * n + line]) /= sum;
  }
}

// Sinkhorn and Knopp: a softmax of each row, then columns and rows in turn, columns last.
void make_doubly_stochastic(std::span<float> x, const HyperParameters& parameters) {
  const auto n = static_cast<std::size_t>(parameters.streams);
  for (std::size_t row = 0; row < n; ++row) softmax(x.subspan(row * n, n));
  for (float& value : x) value += parameters.epsilon;
  divide_by_sums(x, n, false, parameters.epsilon);
  for (std::int64_t i = 1; i < parameters.iterations; ++i) {
    divide_by_sums(x, n, true, parameters.epsilon);
    divide_by_sums(x, n, false, parameters.epsilon);
  }
}

class HyperLayer : public DecoderLayer {
 public:
  explicit HyperLayer(HyperParts parts) : parts_(std::move(parts)) {}

  bool routed() const override { return parts_.ffn->routed(); }
  std::unique_ptr<PartState> new_state() const override { return parts_.attention->new_state(); }

  void run(const ForwardStep& step,
           const Matrix& x,
           PartStates states,
           RoutingSink& sink) const override {
    const std::int64_t hidden = parts_.attention_streams.hidden();
    const Rows input(x.rows, hidden), change(x.rows, hidden);
    const auto around_attention = parts_.attention_streams.begin(step.pool, x.read(), input.view);
    parts_.attention_norm.apply(input.read(), input.view);
    parts_.attention->run(step, input.read(), change.view, states);
    parts_.attention_streams.end(step.pool, around_attention, change.read(), x);
    const auto around_ffn = parts_.ffn_streams.begin(step.pool, x.read(), input.view);
    parts_.ffn_norm.apply(input.read(), input.view);
    parts_.ffn->run(step, input.read(), change.view, sink);
    if (sink.router_only) return;
    parts_.ffn_streams.end(step.pool, around_ffn, change.read(), x);
  }

 private:
  HyperParts parts_;
};

}  // namespace

HyperConnection::HyperConnection(const HyperParameters& parameters,
                                 const Checkpoint& weights,
                                 const std::string& prefix)
    : parameters_(parameters) {
  const std::int64_t n = parameters.streams, rows = (2 + n) * n;
  function_ = weights.matrix(prefix + "fn", rows, n * parameters.hidden);
  base_ = weights.vector(prefix + "base", rows);
  scale_ = weights.vector(prefix + "scale", 3);
}

HyperConnection::Mix HyperConnection::begin(ThreadPool& pool,
                                            const ConstMatrix& residual,
                                            const Matrix& collapsed) const {
  const std::int64_t n = parameters_.streams;
  const Rows raw = project(pool, residual, *function_, parameters_.norm_epsilon);
  Mix mix{{residual.rows, n}, {residual.rows, n * n}};
  for_rows(pool, residual.rows, 4.0 * static_cast<double>(residual.rows * residual.columns),
           [&](std::int64_t token) {
             const float* x = raw.view.row(token);
             const auto logit = [&](std::int64_t i, std::size_t part) {
               return x[i] * scale_[part] + base_[static_cast<std::size_t>(i)];
             };
             std::vector<float> before(static_cast<std::size_t>(n));
             for (std::int64_t i = 0; i < n; ++i) {
               before[static_cast<std::size_t>(i)] = sigmoid(logit(i, 0)) + parameters_.epsilon;
               mix.post.view.row(token)[i] = 2 * sigmoid(logit(n + i, 1));
             }
             float* comb = mix.comb.view.row(token);
             for (std::int64_t i = 0; i < n * n; ++i) comb[i] = logit(2 * n + i, 2);
             make_doubly_stochastic({comb, static_cast<std::size_t>(n * n)}, parameters_);
             weighted_sum(residual.row(token), before,
                          {collapsed.row(token), static_cast<std::size_t>(collapsed.columns)});
           });
  return mix;
}

void HyperConnection::end(ThreadPool& pool,
                          const Mix& mix,
                          const ConstMatrix& change,
                          const Matrix& residual) const {
  const std::int64_t n = parameters_.streams, hidden = parameters_.hidden;
  const auto size = static_cast<std::size_t>(hidden);
  for_rows(pool, residual.rows, 10.0 * static_cast<double>(residual.rows * residual.columns),
           [&](std::int64_t token) {
             float* streams = residual.row(token);
             const Floats old(streams, streams + residual.columns);
             const float* comb = mix.comb.view.row(token);
             for (std::int64_t to = 0; to < n; ++to) {
               float* stream = streams + to * hidden;
               std::fill_n(stream, hidden, 0.0F);
               add_scaled({change.row(token), size}, mix.post.view.row(token)[to], stream);
               for (std::int64_t from = 0; from < n; ++from)
                 add_scaled({old.data() + from * hidden, size}, comb[from * n + to], stream);
             }
           });
}

std::unique_ptr<DecoderLayer> make_hyper_layer(HyperParts parts) {
  return std::make_unique<HyperLayer>(std::move(parts));
}

HyperHead::HyperHead(const HyperParameters& parameters,
                     const Checkpoint& weights,
                     const std::string& prefix)
    : parameters_(parameters) {
  const std::int64_t n = parameters.streams;
  function_ = weights.matrix(prefix + "fn", n, n * parameters.hidden);
  base_ = weights.vector(prefix + "base", n);
  scale_ = weights.vector(prefix + "scale", 1);
}

void HyperHead::collapse(ThreadPool& pool,
                         const ConstMatrix& residual,
                         const Matrix& hidden) const {
  const Rows raw = project(pool, residual, *function_, parameters_.norm_epsilon);
  for (std::int64_t token = 0; token < residual.rows; ++token) {
    std::vector<float> weights(base_.size());
    for (std::size_t i = 0; i < weights.size(); ++i)
      weights[i] = sigmoid(raw.view.row(token)[i] * scale_[0] + base_[i]) + parameters_.epsilon;
    weighted_sum(residual.row(token), weights,
                 {hidden.row(token), static_cast<std::size_t>(hidden.columns)});
  }
}

void spread_streams(const ConstMatrix& hidden, const Matrix& residual) {
  for (std::int64_t token = 0; token < hidden.rows; ++token)
    for (float* stream = residual.row(token); stream < residual.row(token) + residual.columns;)
      stream = std::copy_n(hidden.row(token), hidden.columns, stream);
}

}  // namespace moesim
