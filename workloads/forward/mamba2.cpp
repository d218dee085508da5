// Token by token, in parallel over heads and blocks of channels; the chunked scan of the hub's code
// computes the same sums in another order.
#include "workloads/forward/mamba2.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "workloads/forward/causal_convolution.h"
#include "workloads/forward/kernels.h"
#include "workloads/forward/recurrent_state.h"

namespace moesim {
namespace {

struct Mamba2State : PartState {
  std::int64_t tokens = 0;
  Floats history;  // of the convolution
  Floats memory;   // [heads][state_size][head_dim]
};

struct Mamba2Weights {
  std::shared_ptr<const Weight> in, out;
  Floats in_bias, out_bias;          // empty when absent
  Floats dt_bias, decay_rate, skip;  // [heads]; exp(A_log), D
  std::vector<Floats> norm;          // by group
};

class Mamba2 : public Mixer {
 public:
  Mamba2(const Mamba2Parameters& parameters, CausalConvolution convolution, Mamba2Weights weights)
      : p_(parameters), convolution_(std::move(convolution)), weights_(std::move(weights)) {}

  std::unique_ptr<PartState> new_state() const override {
    auto state = std::make_unique<Mamba2State>();
    state->history = convolution_.new_history();
    state->memory.assign(static_cast<std::size_t>(p_.inner() * p_.state_size), 0.0F);
    return state;
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    const Rows projected(step.tokens, weights_.in->rows());  // z, then x, B and C, then dt
    linear(step.pool, x, *weights_.in, data_or_null(weights_.in_bias), projected.view);
    const Rows mixed(step.tokens, p_.mixed());
    for (std::size_t i = 0; i < step.segments.size(); ++i) {
      const Segment& segment = step.segments[i];
      auto& state = static_cast<Mamba2State&>(*states[i]);
      if (state.tokens != segment.first_position)
        throw std::logic_error("Mamba-2: a recurrent state cannot drop tokens");
      const ConstMatrix part{projected.view.row(segment.first_row) + p_.inner(), segment.tokens,
                             p_.mixed(), projected.view.stride};
      convolution_.run(step.pool, part, state.history,
                       mixed.view.part(segment.first_row, segment.tokens));
      state.tokens = segment.end_position();
    }
    const Rows steps = discretise(step, projected.read(), mixed.read());
    const Rows read(step.tokens, p_.inner());
    remember(step, mixed.read(), steps.read(), states, read.view);
    finish(step, projected.view, mixed.read(), read.view);
    linear(step.pool, read.read(), *weights_.out, data_or_null(weights_.out_bias), out);
  }

 private:
  // Rows of dt x [heads][head_dim], then decays [heads].
  Rows discretise(const ForwardStep& step,
                  const ConstMatrix& projected,
                  const ConstMatrix& mixed) const {
    Rows steps(step.tokens, p_.inner() + p_.heads);
    const double flops = 4.0 * static_cast<double>(step.tokens * p_.inner());
    for_rows(step.pool, step.tokens, flops, [&](std::int64_t row) {
      const float* dt = projected.row(row) + p_.inner() + p_.mixed();
      float* to = steps.view.row(row);
      for (std::int64_t head = 0; head < p_.heads; ++head) {
        const auto h = static_cast<std::size_t>(head);
        const float raw = dt[head] + weights_.dt_bias[h];
        const float size = std::max(raw > 20.0F ? raw : std::log1p(std::exp(raw)), p_.least_step);
        to[p_.inner() + head] = std::exp(-weights_.decay_rate[h] * size);
        const float* x = mixed.row(row) + head * p_.head_dim;
        std::transform(x, x + p_.head_dim, to + head * p_.head_dim,
                       [size](float value) { return value * size; });
      }
    });
    return steps;
  }

  void remember(const ForwardStep& step,
                const ConstMatrix& mixed,
                const ConstMatrix& steps,
                PartStates states,
                const Matrix& read) const {
    const std::int64_t blocks = state_blocks(p_.head_dim), tasks = p_.heads * blocks;
    const double flops = 5.0 * static_cast<double>(step.tokens * p_.inner() * p_.state_size);
    step.pool.run(
        step.segments.size() * static_cast<std::size_t>(tasks), flops,
        [&](std::size_t index, Scratch&) {
          const Segment& segment = step.segments[index / static_cast<std::size_t>(tasks)];
          const std::int64_t task = static_cast<std::int64_t>(index) % tasks, head = task / blocks;
          PartState* state = states[index / static_cast<std::size_t>(tasks)];
          const auto of = [&](const ConstMatrix& rows, std::int64_t column, std::int64_t width) {
            return ConstMatrix{rows.row(segment.first_row) + column, segment.tokens, width,
                               rows.stride};
          };
          const std::int64_t group = head / (p_.heads / p_.groups);
          const std::int64_t b = p_.inner() + group * p_.state_size;
          const Recurrence tokens{of(mixed, b, p_.state_size),
                                  of(mixed, b + p_.groups * p_.state_size, p_.state_size),
                                  of(steps, head * p_.head_dim, p_.head_dim),
                                  of(steps, p_.inner() + head, 1),
                                  {}};
          float* memory =
              static_cast<Mamba2State*>(state)->memory.data() + head * p_.state_size * p_.head_dim;
          run_recurrence(tokens, task % blocks * kStateColumns, memory,
                         {read.row(segment.first_row) + head * p_.head_dim, segment.tokens,
                          p_.head_dim, read.stride});
        });
  }

  // The skip, the gate and the norm, in place.
  void finish(const ForwardStep& step,
              const Matrix& projected,
              const ConstMatrix& mixed,
              const Matrix& read) const {
    const double flops = 12.0 * static_cast<double>(step.tokens * p_.inner());
    const std::int64_t width = p_.inner() / p_.groups;
    for_rows(step.pool, step.tokens, flops, [&](std::int64_t row) {
      float* y = read.row(row);
      for (std::int64_t head = 0; head < p_.heads; ++head)
        add_scaled({mixed.row(row) + head * p_.head_dim, static_cast<std::size_t>(p_.head_dim)},
                   weights_.skip[static_cast<std::size_t>(head)], y + head * p_.head_dim);
      silu_product({projected.row(row), static_cast<std::size_t>(p_.inner())}, y, y);
      for (std::int64_t group = 0; group < p_.groups; ++group)
        rms_norm({y + group * width, static_cast<std::size_t>(width)},
                 weights_.norm[static_cast<std::size_t>(group)], p_.norm_epsilon,
                 y + group * width);
    });
  }

  Mamba2Parameters p_;
  CausalConvolution convolution_;
  Mamba2Weights weights_;
};

}  // namespace

std::unique_ptr<Mixer> load_mamba2(const Mamba2Parameters& parameters,
                                   const Checkpoint& weights,
                                   const std::string& prefix) {
  const std::int64_t inner = parameters.inner(), heads = parameters.heads;
  const std::int64_t in_rows = inner + parameters.mixed() + heads;
  Mamba2Weights loaded;
  loaded.in = weights.matrix(prefix + "in_proj.weight", in_rows, parameters.hidden);
  loaded.out = weights.matrix(prefix + "out_proj.weight", parameters.hidden, inner);
  if (parameters.bias) {
    loaded.in_bias = weights.vector(prefix + "in_proj.bias", in_rows);
    loaded.out_bias = weights.vector(prefix + "out_proj.bias", parameters.hidden);
  }
  loaded.dt_bias = weights.vector(prefix + "dt_bias", heads);
  loaded.decay_rate = weights.vector(prefix + "A_log", heads);
  for (float& rate : loaded.decay_rate) rate = std::exp(rate);
  loaded.skip = weights.vector(prefix + "D", heads);
  const Floats norm = weights.vector(prefix + "norm.weight", inner);
  const std::int64_t width = inner / parameters.groups;
  loaded.norm.reserve(static_cast<std::size_t>(parameters.groups));
  for (std::int64_t group = 0; group < parameters.groups; ++group)
    loaded.norm.emplace_back(norm.begin() + group * width, norm.begin() + (group + 1) * width);
  CausalConvolution convolution(weights, prefix, parameters.mixed(), parameters.kernel,
                                parameters.convolution_bias);
  return std::make_unique<Mamba2>(parameters, std::move(convolution), std::move(loaded));
}

}  // namespace moesim
