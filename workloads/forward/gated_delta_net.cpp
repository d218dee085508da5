// Token by token, in parallel over heads and blocks of value columns: the chunked form of the hub's
// code computes the same sums in another order.
#include "workloads/forward/gated_delta_net.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "workloads/forward/causal_convolution.h"
#include "workloads/forward/kernels.h"
#include "workloads/forward/recurrent_state.h"

namespace moesim {
namespace {

struct GatedDeltaState : PartState {
  std::int64_t tokens = 0;
  Floats history;  // of the convolution
  Floats memory;   // [value_heads][key_dim][value_dim]
};

struct GatedDeltaWeights {
  std::shared_ptr<const Weight> in, out;
  Floats dt_bias, decay_rate;  // [value_heads]; exp(A_log)
  Norm norm;                   // [value_dim]
};

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }
float softplus(float x) { return x > 20.0F ? x : std::log1p(std::exp(x)); }

// One row's products, in the order q, k, v, z, b, a: what the rest of this file works on.
class Columns {
 public:
  explicit Columns(const GatedDeltaParameters& p)
      : qkv(2 * p.keys() + p.values()),
        gate(qkv),
        rate(gate + p.values()),
        step(rate + p.value_heads),
        all(step + p.value_heads) {}
  std::int64_t qkv, gate, rate, step, all;  // width of q, k and v; where the others begin
};

class GatedDeltaNet : public Mixer {
 public:
  GatedDeltaNet(const GatedDeltaParameters& parameters,
                CausalConvolution convolution,
                GatedDeltaWeights weights)
      : p_(parameters),
        columns_(parameters),
        convolution_(std::move(convolution)),
        weights_(std::move(weights)) {}

  std::unique_ptr<PartState> new_state() const override {
    auto state = std::make_unique<GatedDeltaState>();
    state->history = convolution_.new_history();
    state->memory.assign(static_cast<std::size_t>(p_.value_heads * p_.key_dim * p_.value_dim),
                         0.0F);
    return state;
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    const Rows projected = project(step, x);
    const Rows mixed(step.tokens, columns_.qkv), read(step.tokens, p_.values());
    for (std::size_t i = 0; i < step.segments.size(); ++i) {
      const Segment& segment = step.segments[i];
      auto& state = static_cast<GatedDeltaState&>(*states[i]);
      if (state.tokens != segment.first_position)
        throw std::logic_error("gated DeltaNet: a recurrent state cannot drop tokens");
      const auto of = [&](const Rows& rows) {
        return rows.view.part(segment.first_row, segment.tokens);
      };
      Matrix qkv = of(projected);
      qkv.columns = columns_.qkv;
      convolution_.run(step.pool, qkv.read(), state.history, of(mixed));
      state.tokens = segment.end_position();
    }
    prepare(step, projected.view, mixed.view);
    remember(step, projected.read(), mixed.read(), states, read.view);
    gate(step, projected.read(), read.view);
    linear(step.pool, read.read(), *weights_.out, nullptr, out);
  }

 private:
  Rows project(const ForwardStep& step, const ConstMatrix& x) const {
    Rows products(step.tokens, columns_.all);
    linear(step.pool, x, *weights_.in, nullptr, products.view);
    if (!p_.by_key_head) return products;
    Rows sorted(step.tokens, columns_.all);
    for_rows(step.pool, step.tokens, 2.0 * static_cast<double>(products.values.size()),
             [&](std::int64_t row) { sort_row(products.view.row(row), sorted.view.row(row)); });
    return sorted;
  }

  // From rows of each key head: its q, k, and its value heads' v and z; then its value heads' b
  // and a.
  void sort_row(const float* from, float* row) const {
    const std::int64_t shared = p_.value_heads / p_.key_heads, width = shared * p_.value_dim;
    for (std::int64_t head = 0; head < p_.key_heads; ++head) {
      std::copy_n(from, p_.key_dim, row + head * p_.key_dim);
      std::copy_n(from + p_.key_dim, p_.key_dim, row + p_.keys() + head * p_.key_dim);
      from += 2 * p_.key_dim;
      std::copy_n(from, width, row + 2 * p_.keys() + head * width);
      std::copy_n(from + width, width, row + columns_.gate + head * width);
      from += 2 * width;
    }
    for (std::int64_t head = 0; head < p_.key_heads; ++head, from += 2 * shared) {
      std::copy_n(from, shared, row + columns_.rate + head * shared);
      std::copy_n(from + shared, shared, row + columns_.step + head * shared);
    }
  }

  // Queries and keys to unit length; b and a to rates and decays in place.
  void prepare(const ForwardStep& step, const Matrix& projected, const Matrix& mixed) const {
    const double flops = 6.0 * static_cast<double>(step.tokens * columns_.all);
    const float query_scale = 1.0F / std::sqrt(static_cast<float>(p_.key_dim));
    for_rows(step.pool, step.tokens, flops, [&](std::int64_t row) {
      for (std::int64_t head = 0; head < p_.key_heads; ++head) {
        to_unit(mixed.row(row) + head * p_.key_dim, query_scale);
        to_unit(mixed.row(row) + p_.keys() + head * p_.key_dim, 1.0F);
      }
      float* rate = projected.row(row) + columns_.rate;
      float* decay = projected.row(row) + columns_.step;
      for (std::int64_t head = 0; head < p_.value_heads; ++head) {
        const auto h = static_cast<std::size_t>(head);
        rate[head] = sigmoid(rate[head]);
        decay[head] =
            std::exp(-weights_.decay_rate[h] * softplus(decay[head] + weights_.dt_bias[h]));
      }
    });
  }

  void to_unit(float* head, float scale) const {
    float squares = 1e-6F;
    for (std::int64_t i = 0; i < p_.key_dim; ++i) squares += head[i] * head[i];
    scale /= std::sqrt(squares);
    for (std::int64_t i = 0; i < p_.key_dim; ++i) head[i] *= scale;
  }

  void remember(const ForwardStep& step,
                const ConstMatrix& projected,
                const ConstMatrix& mixed,
                PartStates states,
                const Matrix& read) const {
    const std::int64_t blocks = state_blocks(p_.value_dim), tasks = p_.value_heads * blocks;
    const double flops = 8.0 * static_cast<double>(step.tokens * p_.values() * p_.key_dim);
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
          const std::int64_t key = head / (p_.value_heads / p_.key_heads) * p_.key_dim;
          const Recurrence tokens{
              of(mixed, p_.keys() + key, p_.key_dim), of(mixed, key, p_.key_dim),
              of(mixed, 2 * p_.keys() + head * p_.value_dim, p_.value_dim),
              of(projected, columns_.step + head, 1), of(projected, columns_.rate + head, 1)};
          float* memory = static_cast<GatedDeltaState*>(state)->memory.data() +
                          head * p_.key_dim * p_.value_dim;
          run_recurrence(tokens, task % blocks * kStateColumns, memory,
                         {read.row(segment.first_row) + head * p_.value_dim, segment.tokens,
                          p_.value_dim, read.stride});
        });
  }

  void gate(const ForwardStep& step, const ConstMatrix& projected, const Matrix& read) const {
    const double flops = 12.0 * static_cast<double>(step.tokens * p_.values());
    const auto size = static_cast<std::size_t>(p_.value_dim);
    for_rows(step.pool, step.tokens, flops, [&](std::int64_t row) {
      for (std::int64_t head = 0; head < p_.value_heads; ++head) {
        float* values = read.row(row) + head * p_.value_dim;
        rms_norm({values, size}, weights_.norm.weight, weights_.norm.epsilon, values);
      }
      silu_product({projected.row(row) + columns_.gate, static_cast<std::size_t>(p_.values())},
                   read.row(row), read.row(row));
    });
  }

  GatedDeltaParameters p_;
  Columns columns_;
  CausalConvolution convolution_;
  GatedDeltaWeights weights_;
};

std::shared_ptr<const Weight> load_in(const GatedDeltaParameters& p,
                                      const Checkpoint& weights,
                                      const std::string& prefix) {
  std::vector<std::pair<std::string, std::int64_t>> parts;
  if (p.by_key_head)
    parts = {{"in_proj_qkvz", 2 * (p.keys() + p.values())}, {"in_proj_ba", 2 * p.value_heads}};
  else
    parts = {{"in_proj_qkv", 2 * p.keys() + p.values()},
             {"in_proj_z", p.values()},
             {"in_proj_b", p.value_heads},
             {"in_proj_a", p.value_heads}};
  std::vector<Checkpoint::Request> requests;
  requests.reserve(parts.size());
  for (const auto& part : parts)
    requests.push_back({.name = prefix + part.first + ".weight", .rows = part.second});
  return weights.stacked(requests, p.hidden);
}

}  // namespace

GatedDeltaParameters read_gated_delta(ConfigReader& config,
                                      std::int64_t hidden,
                                      float norm_epsilon) {
  GatedDeltaParameters p;
  p.hidden = hidden;
  p.key_heads = config.size_or("linear_num_key_heads", 16);
  p.value_heads = config.size_or("linear_num_value_heads", 32);
  p.key_dim = config.size_or("linear_key_head_dim", 128);
  p.value_dim = config.size_or("linear_value_head_dim", 128);
  p.kernel = config.size_or("linear_conv_kernel_dim", 4);
  p.norm_epsilon = norm_epsilon;
  if (p.value_heads % p.key_heads != 0)
    config.fail(
        config.find("linear_num_key_heads") ? "linear_num_key_heads" : "linear_num_value_heads",
        fmt::format("{} key heads do not divide {} value heads", p.key_heads, p.value_heads));
  return p;
}

std::unique_ptr<Mixer> load_gated_delta(const GatedDeltaParameters& parameters,
                                        const Checkpoint& weights,
                                        const std::string& prefix) {
  const std::int64_t heads = parameters.value_heads;
  GatedDeltaWeights loaded;
  loaded.in = load_in(parameters, weights, prefix);
  loaded.out = weights.matrix(prefix + "out_proj.weight", parameters.hidden, parameters.values());
  loaded.dt_bias = weights.vector(prefix + "dt_bias", heads);
  loaded.decay_rate = weights.vector(prefix + "A_log", heads);
  for (float& rate : loaded.decay_rate) rate = std::exp(rate);
  loaded.norm =
      load_rms_norm(weights, prefix + "norm", parameters.value_dim, parameters.norm_epsilon);
  CausalConvolution convolution(weights, prefix, 2 * parameters.keys() + parameters.values(),
                                parameters.kernel, false);
  return std::make_unique<GatedDeltaNet>(parameters, std::move(convolution), std::move(loaded));
}

}  // namespace moesim
