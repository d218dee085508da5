// Products with weights in their stored form, each weight read once, and expanding weights to
// float32. Vector code for whatever this CPU has (Highway), chosen when the program starts.
#pragma once

#include <cstdint>

#include "workloads/forward/stored_formats.h"

namespace moesim {

// Rows first .. first + count of a matrix, of which only the first `columns` columns are meant.
struct StoredRows {
  const StoredMatrix& matrix;
  std::int64_t first = 0, count = 0, columns = 0;
};

// out [count][columns]. Returns whether all values are finite.
bool expand_rows(const StoredRows& rows, float* out);

// As above for a matrix stored transposed, [columns][stride]: out [count][columns] are the elements
// first .. first + count of its `columns` rows. Block scales are not supported.
bool expand_transposed(const StoredRows& rows, float* out);

// x [x_rows][columns] and y [x_rows][count], with the distance of their rows.
struct FewRows {
  const float* x = nullptr;
  std::int64_t x_rows = 0, x_stride = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;
};

// y = x * rows transposed. One product y[t][n] is summed in an order that depends on the CPU only:
// its bits are the same for any number of x rows and any cut into first and count. A weight that is
// not finite makes y not finite.
void multiply_rows(const StoredRows& rows, const FewRows& operands);

}  // namespace moesim
