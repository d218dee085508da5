// Casts before products.
#include "sim/cost/quantised_product.h"

namespace moesim {

void add_product(std::int64_t tokens, const MatrixShape& matrix, std::vector<KernelWork>& works) {
  if (matrix.precision == "fp8" || matrix.precision == "fp4") {
    const double values = static_cast<double>(tokens) * static_cast<double>(matrix.inner);
    works.push_back({"elementwise", Flops(0),
                     Bytes(values * (2 + activation_bytes(matrix.precision))), "bf16"});
  }
  works.push_back(gemm_work(tokens, matrix));
}

}  // namespace moesim
