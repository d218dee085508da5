// A product with what its inputs need first. Formulas: docs/models.md, "Kernels".
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cost/kernel_work.h"

namespace moesim {

// tokens x inner times inner x outer; of fp8 inputs also the pass that makes them of bf16 values,
// with one scale a block.
void add_product(std::int64_t tokens, const MatrixShape& matrix, std::vector<KernelWork>& works);

}  // namespace moesim
