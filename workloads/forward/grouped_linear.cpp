// One product a tile of a group.
#include "workloads/forward/grouped_linear.h"

#include <algorithm>

namespace moesim {

void grouped_linear(
    ThreadPool& pool, const ConstMatrix& x, const Weight& w, std::int64_t groups, const Matrix& y) {
  constexpr std::int64_t kTile = 128;
  const std::int64_t rank = w.rows() / groups, width = w.columns();
  const std::int64_t across = (rank + kTile - 1) / kTile, down = (x.rows + kTile - 1) / kTile;
  pool.run(
      static_cast<std::size_t>(groups * across * down),
      2.0 * static_cast<double>(x.rows * w.rows() * width),
      [&](std::size_t task, Scratch& scratch) {
        const auto index = static_cast<std::int64_t>(task);
        const std::int64_t group = index / (across * down);
        const std::int64_t column = index / down % across * kTile;
        const std::int64_t row = index % down * kTile;
        const std::int64_t columns = std::min(kTile, rank - column);
        const std::int64_t rows = std::min(kTile, x.rows - row);
        const std::int64_t first = group * rank + column;
        const ConstMatrix weight{w.expand(first, columns, scratch.weight), columns, width, width};
        product_transposed({x.row(row) + group * width, rows, width, x.stride}, weight,
                           {y.row(row) + first, rows, columns, y.stride});
      });
}

}  // namespace moesim
