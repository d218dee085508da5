// float32 matrix products by oneDNN, always one thread a product; the caller cuts the tiles.
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
};
using Matrix = BasicMatrix<float>;
using ConstMatrix = BasicMatrix<const float>;

// y [m][n] = x [m][k] * w [n][k] transposed. One thread, no tiling.
void product_transposed(const ConstMatrix& x, const ConstMatrix& w, const Matrix& y);
// y [m][n] = x [m][k] * v [k][n]. One thread, no tiling.
void product(const ConstMatrix& x, const ConstMatrix& v, const Matrix& y);

// y [tokens][w.rows] = x [tokens][w.columns] * w transposed (+ bias [w.rows] unless null), in fixed
// tiles over the pool.
void linear(
    ThreadPool& pool, const ConstMatrix& x, const Weight& w, const float* bias, const Matrix& y);

}  // namespace moesim
