// Vector code in the compilers' vector extension, compiled twice: for any x86-64 and for AVX2. Both
// do the same operations in the same order, without fused multiply-add.
#include "workloads/forward/kernels.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#define MOESIM_INLINE inline __attribute__((always_inline))

namespace moesim {
namespace {

constexpr std::size_t kLanes = 8;
using Lanes = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));
using Bits = std::uint32_t __attribute__((vector_size(32)));

MOESIM_INLINE void load(Lanes& lanes, const float* from) {
  std::memcpy(&lanes, from, sizeof lanes);
}
MOESIM_INLINE void store(const Lanes& lanes, float* to) { std::memcpy(to, &lanes, sizeof lanes); }
MOESIM_INLINE void fill(Lanes& lanes, float value) { lanes = value - Lanes{}; }

// The rest of a row that does not fill the lanes, padded.
MOESIM_INLINE void load_tail(Lanes& lanes, const float* from, std::size_t count, float padding) {
  fill(lanes, padding);
  std::memcpy(&lanes, from, count * sizeof(float));
}
MOESIM_INLINE void store_tail(const Lanes& lanes, float* to, std::size_t count) {
  std::memcpy(to, &lanes, count * sizeof(float));
}

MOESIM_INLINE float sum(const Lanes& x) {
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2, with the degree-5 minimax polynomial
// of Cephes' expf (S. Moshier): relative error below 2e-7. Results below 2^-126 become 0.
MOESIM_INLINE void exponential(Lanes& x) {
  constexpr float kLow = -87.3F, kHigh = 88.3F;
  constexpr float kRound =
      12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const Ints too_low = x < kLow;
  const Ints too_high = x > kHigh;
  Lanes high;
  fill(high, kHigh);
  x = too_high ? high : x;
  const Lanes shifted = x * 1.44269504F + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = (x - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two pieces
  Lanes p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const Bits bits = reinterpret_cast<Bits>(p) + (reinterpret_cast<Bits>(shifted) << 23);
  x = too_low ? Lanes{} : reinterpret_cast<Lanes>(bits);
}

MOESIM_INLINE void rms_norm_row(std::span<const float> x,
                                std::span<const float> weight,
                                float epsilon,
                                float* out) {
  Lanes squares{}, lanes, scale;
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
    load(lanes, x.data() + i);
    squares += lanes * lanes;
  }
  load_tail(lanes, x.data() + i, x.size() - i, 0.0F);
  squares += lanes * lanes;
  const float inverse = 1.0F / std::sqrt(sum(squares) / static_cast<float>(x.size()) + epsilon);
  for (i = 0; i + kLanes <= x.size(); i += kLanes) {
    load(lanes, x.data() + i);
    load(scale, weight.data() + i);
    store(lanes * inverse * scale, out + i);
  }
  for (; i < x.size(); ++i) out[i] = x[i] * inverse * weight[i];
}

MOESIM_INLINE void softmax_row(std::span<float> row) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  const std::size_t whole = row.size() / kLanes * kLanes, tail = row.size() - whole;
  Lanes lanes, largest, total{};
  load_tail(largest, row.data() + whole, tail, kLowest);
  for (std::size_t i = 0; i < whole; i += kLanes) {
    load(lanes, row.data() + i);
    largest = lanes > largest ? lanes : largest;
  }
  float maximum = largest[0];
  for (std::size_t i = 1; i < kLanes; ++i) maximum = largest[i] > maximum ? largest[i] : maximum;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    load(lanes, row.data() + i);
    lanes -= maximum;
    exponential(lanes);
    store(lanes, row.data() + i);
    total += lanes;
  }
  load_tail(lanes, row.data() + whole, tail, -std::numeric_limits<float>::infinity());
  lanes -= maximum;
  exponential(lanes);
  store_tail(lanes, row.data() + whole, tail);
  const float scale = 1.0F / sum(total + lanes);
  for (float& value : row) value *= scale;
}

MOESIM_INLINE void silu_lanes(Lanes& gate, const Lanes& up) {
  Lanes e = -gate;
  exponential(e);
  gate = gate / (1.0F + e) * up;
}

MOESIM_INLINE void silu_product_row(std::span<const float> gate, const float* up, float* out) {
  Lanes lanes, factor;
  std::size_t i = 0;
  for (; i + kLanes <= gate.size(); i += kLanes) {
    load(lanes, gate.data() + i);
    load(factor, up + i);
    silu_lanes(lanes, factor);
    store(lanes, out + i);
  }
  load_tail(lanes, gate.data() + i, gate.size() - i, 0.0F);
  load_tail(factor, up + i, gate.size() - i, 0.0F);
  silu_lanes(lanes, factor);
  store_tail(lanes, out + i, gate.size() - i);
}

MOESIM_INLINE void add_scaled_row(std::span<const float> x, float scale, float* out) {
  Lanes lanes, target;
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
    load(lanes, x.data() + i);
    load(target, out + i);
    store(target + lanes * scale, out + i);
  }
  for (; i < x.size(); ++i) out[i] += x[i] * scale;
}

#define MOESIM_AVX2 __attribute__((target("avx2")))
MOESIM_AVX2 void rms_norm_avx2(std::span<const float> x,
                               std::span<const float> weight,
                               float epsilon,
                               float* out) {
  rms_norm_row(x, weight, epsilon, out);
}
MOESIM_AVX2 void softmax_avx2(std::span<float> row) { softmax_row(row); }
MOESIM_AVX2 void silu_product_avx2(std::span<const float> gate, const float* up, float* out) {
  silu_product_row(gate, up, out);
}
MOESIM_AVX2 void add_scaled_avx2(std::span<const float> x, float scale, float* out) {
  add_scaled_row(x, scale, out);
}

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;

}  // namespace

void rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon, float* out) {
  has_avx2 ? rms_norm_avx2(x, weight, epsilon, out) : rms_norm_row(x, weight, epsilon, out);
}

void softmax(std::span<float> row) { has_avx2 ? softmax_avx2(row) : softmax_row(row); }

void silu_product(std::span<const float> gate, const float* up, float* out) {
  has_avx2 ? silu_product_avx2(gate, up, out) : silu_product_row(gate, up, out);
}

void add_scaled(std::span<const float> x, float scale, float* out) {
  has_avx2 ? add_scaled_avx2(x, scale, out) : add_scaled_row(x, scale, out);
}

}  // namespace moesim
