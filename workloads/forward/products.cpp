// oneDNN's sgemm behind matrix views, and the tiling of a linear layer.
#include "workloads/forward/products.h"

#include <dnnl.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "workloads/forward/exact_product.h"

namespace moesim {
namespace {

// Up to so many rows of x, reading the weights in their stored form once is faster than sgemm.
constexpr std::int64_t kFewRows = 8;

// Weights of at most so many elements (most routers of small models, and all of tiny ones) are
// multiplied in double: it costs nothing beside the rest, and near-ties of a router flip less.
constexpr std::int64_t kExactElements = 16384;

// About 80 microseconds a tile at 256 columns of x; smaller tiles lose speed, larger ones balance.
constexpr std::int64_t kTileRows = 128, kTileColumns = 128;

void sgemm(char transposed, const ConstMatrix& x, const ConstMatrix& b, const Matrix& y) {
  if (y.rows == 0 || y.columns == 0) return;
  const dnnl_status_t status =
      dnnl_sgemm('N', transposed, y.rows, y.columns, x.columns, 1.0F, x.data, x.stride, b.data,
                 b.stride, 0.0F, y.data, y.stride);
  if (status != dnnl_success)
    throw std::runtime_error(fmt::format("oneDNN refused a {} x {} x {} product (status {})",
                                         y.rows, y.columns, x.columns, static_cast<int>(status)));
}

// The rows of a weight that one tile multiplies by.
struct WeightTile {
  const Weight& weight;
  const float* bias;
  std::int64_t first, rows;
};

void add_bias(const WeightTile& tile, const Matrix& y) {
  if (tile.bias == nullptr) return;
  for (std::int64_t r = 0; r < y.rows; ++r)
    for (std::int64_t c = 0; c < y.columns; ++c) y.row(r)[c] += tile.bias[tile.first + c];
}

void exact_tile(const ConstMatrix& x, const WeightTile& tile, const Matrix& y, Scratch& scratch) {
  const std::int64_t columns = tile.weight.columns();
  const float* weight = tile.weight.expand(tile.first, tile.rows, scratch.weight);
  for (std::int64_t row = 0; row < x.rows; ++row)
    for (std::int64_t column = 0; column < tile.rows; ++column)
      y.row(row)[column] = static_cast<float>(
          exact_product(x.row(row), weight + column * columns, columns) +
          (tile.bias == nullptr ? 0.0 : static_cast<double>(tile.bias[tile.first + column])));
}

void linear_tile(const ConstMatrix& x, const WeightTile& tile, const Matrix& y, Scratch& scratch) {
  const std::int64_t columns = tile.weight.columns();
  if (tile.weight.rows() * columns <= kExactElements) {
    exact_tile(x, tile, y, scratch);
    return;
  }
  if (x.rows <= kFewRows) {
    tile.weight.multiply(tile.first, tile.rows, {x.data, x.rows, x.stride, y.data, y.stride},
                         scratch.weight);
    add_bias(tile, y);
    return;
  }
  const ConstMatrix weight{tile.weight.expand(tile.first, tile.rows, scratch.weight), tile.rows,
                           columns, columns};
  product_transposed(x, weight, y);
  add_bias(tile, y);
}

}  // namespace

void product_transposed(const ConstMatrix& x, const ConstMatrix& w, const Matrix& y) {
  sgemm('T', x, w, y);
}

void product(const ConstMatrix& x, const ConstMatrix& v, const Matrix& y) { sgemm('N', x, v, y); }

void linear(
    ThreadPool& pool, const ConstMatrix& x, const Weight& w, const float* bias, const Matrix& y) {
  const std::int64_t down = (x.rows + kTileRows - 1) / kTileRows;
  const std::int64_t across = (w.rows() + kTileColumns - 1) / kTileColumns;
  const double flops = 2.0 * static_cast<double>(x.rows * w.rows() * w.columns());
  w.fetch();
  pool.run(static_cast<std::size_t>(down * across), flops, [&](std::size_t tile, Scratch& scratch) {
    const std::int64_t row = static_cast<std::int64_t>(tile) % down * kTileRows;
    const std::int64_t column = static_cast<std::int64_t>(tile) / down * kTileColumns;
    const std::int64_t rows = std::min(kTileRows, x.rows - row);
    const std::int64_t columns = std::min(kTileColumns, w.rows() - column);
    linear_tile(x.part(row, rows), {w, bias, column, columns},
                {y.row(row) + column, rows, columns, y.stride}, scratch);
  });
  w.release();
}

void linear_here(
    const ConstMatrix& x, const Weight& w, const float* bias, const Matrix& y, Scratch& scratch) {
  w.fetch();
  for (std::int64_t column = 0; column < w.rows(); column += kTileColumns) {
    const std::int64_t columns = std::min(kTileColumns, w.rows() - column);
    linear_tile(x, {w, bias, column, columns}, {y.data + column, y.rows, columns, y.stride},
                scratch);
  }
  w.release();
}

}  // namespace moesim
