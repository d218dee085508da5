// A linear layer whose input and output fall into groups that do not mix.
#pragma once

#include "workloads/forward/products.h"

namespace moesim {

// x [tokens][groups * w.columns], w [groups * rank][columns], y [tokens][groups * rank]: the
// columns of y of one group = the columns of x of that group * the group's rows of w, transposed.
// In fixed tiles over the pool.
void grouped_linear(
    ThreadPool& pool, const ConstMatrix& x, const Weight& w, std::int64_t groups, const Matrix& y);

}  // namespace moesim
