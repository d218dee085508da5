// down(silu(gate x) * up x), gate and up in one product.
#include "workloads/forward/gated.h"

#include <algorithm>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

// Leaves silu(gate) * up in the front half of each row of [gate, up].
void activate(const Matrix& gate_up, std::int64_t first, std::int64_t end) {
  const std::int64_t width = gate_up.columns / 2;
  for (std::int64_t row = first; row < end; ++row) {
    float* gate = gate_up.row(row);
    silu_product({gate, static_cast<std::size_t>(width)}, gate + width, gate);
  }
}

ConstMatrix front_half(const Matrix& gate_up) {
  return {gate_up.data, gate_up.rows, gate_up.columns / 2, gate_up.stride};
}

}  // namespace

void run_gated(const ForwardStep& step,
               const GatedWeights& weights,
               const ConstMatrix& x,
               const Matrix& out) {
  const std::int64_t columns = weights.gate_up->rows();
  Floats buffer(static_cast<std::size_t>(x.rows * columns));
  const Matrix inner{buffer.data(), x.rows, columns, columns};
  linear(step.pool, x, *weights.gate_up, nullptr, inner);
  constexpr std::int64_t kTileRows = 32;
  step.pool.run(static_cast<std::size_t>((x.rows + kTileRows - 1) / kTileRows),
                10.0 * static_cast<double>(buffer.size()), [&](std::size_t tile, Scratch&) {
                  const std::int64_t first = static_cast<std::int64_t>(tile) * kTileRows;
                  activate(inner, first, std::min(first + kTileRows, x.rows));
                });
  linear(step.pool, front_half(inner), *weights.down, nullptr, out);
}

void run_gated_here(const GatedWeights& weights,
                    const ConstMatrix& x,
                    const Matrix& out,
                    Scratch& scratch) {
  const std::int64_t columns = weights.gate_up->rows(), hidden = weights.down->rows();
  const Matrix inner{at_least(scratch.inner, static_cast<std::size_t>(x.rows * columns)), x.rows,
                     columns, columns};
  const float* gate_up = weights.gate_up->expand(0, columns, scratch.weight);
  product_transposed(x, {gate_up, columns, x.columns, x.columns}, inner);
  activate(inner, 0, x.rows);
  const float* down = weights.down->expand(0, hidden, scratch.weight);
  product_transposed(front_half(inner), {down, hidden, columns / 2, columns / 2}, out);
}

}  // namespace moesim
