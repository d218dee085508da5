// Norms over rows and the plain residual layer.
#include "workloads/forward/layers.h"

#include <algorithm>
#include <cmath>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

std::span<const float> span_of(const float* row, std::int64_t size) {
  return {row, static_cast<std::size_t>(size)};
}

void layer_norm(std::span<const float> x, const Norm& norm, float* out) {
  double sum = 0, squares = 0;
  for (const float value : x) sum += value;
  const double mean = sum / static_cast<double>(x.size());
  for (const float value : x) squares += (value - mean) * (value - mean);
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(x.size()) + norm.epsilon);
  for (std::size_t i = 0; i < x.size(); ++i)
    out[i] = static_cast<float>((x[i] - mean) * inverse) * norm.weight[i] +
             (norm.bias.empty() ? 0.0F : norm.bias[i]);
}

struct ResidualState : PartState {
  std::unique_ptr<PartState> mixer;
};

class ResidualLayer : public DecoderLayer {
 public:
  explicit ResidualLayer(ResidualParts parts) : parts_(std::move(parts)) {}

  bool routed() const override { return parts_.ffn && parts_.ffn->routed(); }

  std::unique_ptr<PartState> new_state() const override {
    auto state = std::make_unique<ResidualState>();
    if (parts_.mixer) state->mixer = parts_.mixer->new_state();
    return state;
  }

  void run(const ForwardStep& step,
           const Matrix& x,
           PartStates states,
           RoutingSink& sink) const override {
    const auto size = static_cast<std::size_t>(x.rows * x.columns);
    Floats normed(size), change(size);
    const Matrix in{normed.data(), x.rows, x.columns, x.columns};
    const Matrix out{change.data(), x.rows, x.columns, x.columns};
    if (parts_.mixer) {
      std::vector<PartState*> mixer_states;
      mixer_states.reserve(states.size());
      for (PartState* state : states)
        mixer_states.push_back(static_cast<ResidualState*>(state)->mixer.get());
      parts_.mixer_norm.apply(x.read(), in);
      parts_.mixer->run(step, in.read(), out, mixer_states);
      add(out, x);
    }
    if (!parts_.ffn) return;
    parts_.ffn_norm.apply(x.read(), in);
    parts_.ffn->run(step, in.read(), out, sink);
    if (!(sink.router_only && parts_.ffn->routed())) add(out, x);
  }

 private:
  void add(const Matrix& change, const Matrix& x) const {
    for (std::int64_t row = 0; row < x.rows; ++row)
      add_scaled(span_of(change.row(row), x.columns), parts_.multiplier, x.row(row));
  }

  ResidualParts parts_;
};

}  // namespace

void Norm::apply(const ConstMatrix& x, const Matrix& out) const {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    if (centred)
      layer_norm(span_of(x.row(row), x.columns), *this, out.row(row));
    else
      rms_norm(span_of(x.row(row), x.columns), weight, epsilon, out.row(row));
  }
}

Norm load_rms_norm(const Checkpoint& weights,
                   const std::string& name,
                   std::int64_t size,
                   float epsilon,
                   float offset) {
  Norm norm{weights.vector(name + ".weight", size), {}, epsilon, false};
  for (float& weight : norm.weight) weight += offset;
  return norm;
}

Norm load_layer_norm(const Checkpoint& weights,
                     const std::string& name,
                     std::int64_t size,
                     float epsilon) {
  return {weights.vector(name + ".weight", size), weights.vector(name + ".bias", size), epsilon,
          true};
}

std::unique_ptr<DecoderLayer> make_residual_layer(ResidualParts parts) {
  return std::make_unique<ResidualLayer>(std::move(parts));
}

void for_rows(ThreadPool& pool,
              std::int64_t rows,
              double flops,
              const std::function<void(std::int64_t row)>& task) {
  constexpr std::int64_t kTileRows = 16;
  pool.run(static_cast<std::size_t>((rows + kTileRows - 1) / kTileRows), flops,
           [&](std::size_t tile, Scratch&) {
             const std::int64_t first = static_cast<std::int64_t>(tile) * kTileRows;
             const std::int64_t end = std::min(first + kTileRows, rows);
             for (std::int64_t row = first; row < end; ++row) task(row);
           });
}

}  // namespace moesim
