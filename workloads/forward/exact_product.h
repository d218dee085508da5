// A product of two vectors summed in double precision.
#pragma once

#include <cstdint>

namespace moesim {

// sum a[i] b[i] over size elements, in an order that depends on the size alone.
double exact_product(const float* a, const float* b, std::int64_t size);

}  // namespace moesim
