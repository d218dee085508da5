// The inner loop of small weights.
#include "workloads/forward/exact_product.h"

namespace moesim {

double exact_product(const float* a, const float* b, std::int64_t size) {
  constexpr std::int64_t kLanes = 8;  // independent sums, which the compiler puts side by side
  double sums[kLanes]{};
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<double>(a[i + lane]) * b[i + lane];
  for (; i < size; ++i) sums[0] += static_cast<double>(a[i]) * b[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace moesim
