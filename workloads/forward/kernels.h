// The elementwise parts of a transformer, vectorised by hand: exp in softmax and SiLU would
// otherwise cost more than the matrix products. Same bits on every x86-64 CPU.
#pragma once

#include <cstddef>
#include <span>

namespace moesim {

// x / sqrt(mean(x^2) + epsilon) * weight, of one row; `out` may be `x`.
void rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon, float* out);

// exp(x - max) / sum, in place, of one row that is not empty.
void softmax(std::span<float> row);

// out = silu(gate) * up with silu(x) = x / (1 + exp(-x)); `out` may be `gate`.
void silu_product(std::span<const float> gate, const float* up, float* out);

// out += scale * x
void add_scaled(std::span<const float> x, float scale, float* out);

}  // namespace moesim
