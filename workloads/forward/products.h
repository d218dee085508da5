// float32 matrix products: by oneDNN for blocks of rows, by kernels on the stored weights for few
// rows. Always one thread a product; the caller cuts the tiles.
#pragma once

#include <cstdint>

#include "workloads/forward/checkpoint.h"
#include "workloads/forward/thread_pool.h"

namespace moesim {

// A row-major matrix inside a larger buffer; row r starts at data + r * stride.
template <class T>
struct BasicMatrix {
  T* data = nullptr;
  std::int64_t rows = 0, columns = 0, stride = 0;
  T* row(std::int64_t r) const { return data + r * stride; }
  BasicMatrix part(std::int64_t first, std::int64_t count) const {
    return {row(first), count, columns, stride};
  }
  BasicMatrix<const T> read() const { return {data, rows, columns, stride}; }
};
using Matrix = BasicMatrix<float>;
using ConstMatrix = BasicMatrix<const float>;

// A matrix with a buffer of its own, contents unset.
struct Rows {
  Rows(std::int64_t rows, std::int64_t columns)
      : values(static_cast<std::size_t>(rows * columns)),
        view{values.data(), rows, columns, columns} {}
  Rows(Rows&&) = default;  // a copy's view would point into the original
  ConstMatrix read() const { return view.read(); }
  Floats values;
  Matrix view;
};

inline const float* data_or_null(const Floats& values) {
  return values.empty() ? nullptr : values.data();
}

// y [m][n] = x [m][k] * w [n][k] transposed. One thread, no tiling.
void product_transposed(const ConstMatrix& x, const ConstMatrix& w, const Matrix& y);
// y [m][n] = x [m][k] * v [k][n]. One thread, no tiling.
void product(const ConstMatrix& x, const ConstMatrix& v, const Matrix& y);

// y [tokens][w.rows] = x [tokens][w.columns] * w transposed (+ bias [w.rows] unless null), in fixed
// tiles over the pool.
void linear(
    ThreadPool& pool, const ConstMatrix& x, const Weight& w, const float* bias, const Matrix& y);

// The same on this thread; uses scratch.weight only.
void linear_here(
    const ConstMatrix& x, const Weight& w, const float* bias, const Matrix& y, Scratch& scratch);

}  // namespace moesim
