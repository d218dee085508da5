// Attention tile by tile: a block of one head's queries against all the keys it may see.
#include "workloads/forward/attention.h"

#include <algorithm>

#include "workloads/forward/kernels.h"

namespace moesim {

void attend(const ForwardStep& step,
            const HeadShape& shape,
            const float* queries,
            const KeyValueState& state,
            const Matrix& out) {
  constexpr std::int64_t kTileRows = 64;
  const std::int64_t tiles = (step.tokens + kTileRows - 1) / kTileRows;
  const std::int64_t group = shape.heads / shape.kv_heads;
  const double flops =
      2.0 * static_cast<double>(shape.heads * step.tokens) *
      static_cast<double>((step.first_position + step.tokens) * (shape.key_dim + shape.value_dim));
  const auto tile_of_head = [&](std::size_t index, Scratch& scratch) {
    // The last tiles see the most keys: they go first, so that no thread ends late.
    const std::int64_t tile = tiles - 1 - static_cast<std::int64_t>(index) / shape.heads;
    const std::int64_t head = static_cast<std::int64_t>(index) % shape.heads;
    const std::int64_t first = tile * kTileRows;
    const std::int64_t rows = std::min(kTileRows, step.tokens - first);
    const std::int64_t seen = step.first_position + first + rows;
    const std::int64_t key_stride = shape.kv_heads * shape.key_dim;
    const std::int64_t value_stride = shape.kv_heads * shape.value_dim;
    const ConstMatrix query{queries + (head * step.tokens + first) * shape.key_dim, rows,
                            shape.key_dim, shape.key_dim};
    const ConstMatrix keys{state.keys.data() + head / group * shape.key_dim, seen, shape.key_dim,
                           key_stride};
    const ConstMatrix values{state.values.data() + head / group * shape.value_dim, seen,
                             shape.value_dim, value_stride};
    float* scores = at_least(scratch.rows, static_cast<std::size_t>(rows * seen));
    product_transposed(query, keys, {scores, rows, seen, seen});
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t visible = seen - rows + row + 1;
      softmax({scores + row * seen, static_cast<std::size_t>(visible)});
      std::fill(scores + row * seen + visible, scores + (row + 1) * seen, 0.0F);
    }
    product({scores, rows, seen, seen}, values,
            {out.row(first) + head * shape.value_dim, rows, shape.value_dim, out.stride});
  };
  step.pool.run(static_cast<std::size_t>(tiles * shape.heads), flops, tile_of_head);
}

}  // namespace moesim
