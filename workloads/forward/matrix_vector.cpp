// The kernels, compiled once for each instruction set that Highway knows (foreach_target.h includes
// this file again and again). A format is a struct that turns a step of codes into vectors of
// float32; the rest is common.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "workloads/forward/matrix_vector.cpp"
#include "workloads/forward/matrix_vector.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "workloads/forward/stored_steps-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesim {
namespace HWY_NAMESPACE {
namespace {

// The codes of columns k .. end, fewer than a step, padded to one.
template <class Format>
struct PaddedCodes {
  std::byte bytes[static_cast<std::size_t>(Format::kSpan * Format::kBits / 8)]{};
  PaddedCodes(const std::byte* row, std::int64_t k, std::int64_t end) {
    const std::int64_t size = ((end - k) * Format::kBits + 7) / 8;
    std::memcpy(bytes, row + k * Format::kBits / 8, static_cast<std::size_t>(size));
  }
};

template <class Format>
struct PaddedX {
  float values[static_cast<std::size_t>(Format::kSpan)]{};
  PaddedX(const float* x, std::int64_t k, std::int64_t end) { std::copy(x + k, x + end, values); }
};

std::int64_t block_columns(const StoredRows& rows) {
  const BlockScales& scales = rows.matrix.scales;
  if (scales.format == ScaleFormat::none) return std::max<std::int64_t>(rows.columns, 1);
  return scales.block_columns;
}

// kRows weight rows times kTokens rows of x. Every sum has one accumulator vector per part, so its
// order is that of the columns, whatever kRows and kTokens are.
template <class Format, int kRows, int kTokens>
struct Sums {
  static constexpr int kParts = Format::kParts;
  Vector sums[kRows][kTokens][Format::kParts];

  HWY_INLINE void clear() {
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(2)
    for (int t = 0; t < kTokens; ++t)
      HWY_UNROLL(2) for (int p = 0; p < kParts; ++p) sums[r][t][p] = hn::Zero(Tag());
  }
  HWY_INLINE void step(const std::byte* const* rows,
                       std::int64_t k_codes,
                       const float* const* x,
                       std::int64_t k_x) {
    Vector parts_x[kTokens][kParts];
    HWY_UNROLL(2) for (int t = 0; t < kTokens; ++t) Format::load_x(x[t] + k_x, parts_x[t]);
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
      Vector parts[kParts];
      Format::load(rows[r], k_codes, parts);
      HWY_UNROLL(2)
      for (int t = 0; t < kTokens; ++t) HWY_UNROLL(2)
      for (int p = 0; p < kParts; ++p)
        sums[r][t][p] = hn::MulAdd(parts[p], parts_x[t][p], sums[r][t][p]);
    }
  }
};

// Columns begin .. end, all in one block of scales.
template <class Format, int kRows, int kTokens>
HWY_INLINE void sum_block(Sums<Format, kRows, kTokens>& sums,
                          const std::byte* const* rows,
                          const float* const* x,
                          std::int64_t begin,
                          std::int64_t end) {
  sums.clear();
  std::int64_t k = begin;
  for (; k + Format::kSpan <= end; k += Format::kSpan) sums.step(rows, k, x, k);
  if (k == end) return;
  for (int r = 0; r < kRows; ++r) {  // the rest, row by row into the same sums
    const PaddedCodes<Format> padded(rows[r], k, end);
    Vector parts[Format::kParts], parts_x[Format::kParts];
    Format::load(padded.bytes, 0, parts);
    for (int t = 0; t < kTokens; ++t) {
      const PaddedX<Format> padded_x(x[t], k, end);
      Format::load_x(padded_x.values, parts_x);
      for (int p = 0; p < Format::kParts; ++p)
        sums.sums[r][t][p] = hn::MulAdd(parts[p], parts_x[p], sums.sums[r][t][p]);
    }
  }
}

template <class Format, int kRows, int kTokens>
HWY_INLINE void multiply_block(const StoredRows& rows,
                               const FewRows& operands,
                               std::int64_t n,
                               std::int64_t token) {
  const Tag d;
  const StoredMatrix& matrix = rows.matrix;
  const std::byte* row[kRows];
  const float* x[kTokens];
  for (int r = 0; r < kRows; ++r) row[r] = matrix.row(rows.first + n + r);
  for (int t = 0; t < kTokens; ++t) x[t] = operands.x + (token + t) * operands.x_stride;
  Vector totals[kRows][kTokens];
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r)
    HWY_UNROLL(2) for (int t = 0; t < kTokens; ++t) totals[r][t] = hn::Zero(d);
  const std::int64_t width = block_columns(rows);
  Sums<Format, kRows, kTokens> sums;
  for (std::int64_t block = 0; block * width < rows.columns; ++block) {
    sum_block(sums, row, x, block * width, std::min((block + 1) * width, rows.columns));
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
      const std::int64_t block_row = (rows.first + n + r) / matrix.scales.block_rows;
      const Vector scale = hn::Set(d, matrix.scales.at(block_row, block));
      HWY_UNROLL(2) for (int t = 0; t < kTokens; ++t) {
        Vector sum = sums.sums[r][t][0];
        if (Format::kParts == 2) sum = hn::Add(sum, sums.sums[r][t][Format::kParts - 1]);
        totals[r][t] = hn::MulAdd(sum, scale, totals[r][t]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int t = 0; t < kTokens; ++t)
      operands.y[(token + t) * operands.y_stride + n + r] =
          hn::GetLane(hn::SumOfLanes(d, totals[r][t])) * matrix.factor;
}

template <class Format, int kRows>
HWY_INLINE void multiply_tokens(const StoredRows& rows, const FewRows& operands, std::int64_t n) {
  std::int64_t token = 0;
  for (; token + 2 <= operands.x_rows; token += 2)
    multiply_block<Format, kRows, 2>(rows, operands, n, token);
  if (token < operands.x_rows) multiply_block<Format, kRows, 1>(rows, operands, n, token);
}

template <class Format>
void multiply(const StoredRows& rows, const FewRows& operands) {
  std::int64_t n = 0;
  for (; n + 4 <= rows.count; n += 4) multiply_tokens<Format, 4>(rows, operands, n);
  for (; n < rows.count; ++n) multiply_tokens<Format, 1>(rows, operands, n);
}

template <class Format>
bool expand(const StoredRows& rows, float* out) {
  const Tag d;
  const Words words;
  const StoredMatrix& matrix = rows.matrix;
  const std::int64_t width = block_columns(rows);
  const auto exponent = hn::Set(words, 0x7F800000U);  // all ones: NaN or infinity
  auto bad = hn::Eq(hn::Zero(words), exponent);
  const auto decode = [&](const std::byte* row, std::int64_t k, Vector factor, float* to) {
    Vector parts[Format::kParts];
    Format::load(row, k, parts);
    for (int p = 0; p < Format::kParts; ++p) {
      parts[p] = hn::Mul(parts[p], factor);
      const auto found = hn::And(hn::BitCast(words, parts[p]), exponent);
      bad = hn::Or(bad, hn::Eq(found, exponent));
    }
    Format::store(parts, to);
  };
  for (std::int64_t r = 0; r < rows.count; ++r, out += rows.columns) {
    const std::byte* row = matrix.row(rows.first + r);
    const std::int64_t block_row = (rows.first + r) / matrix.scales.block_rows;
    for (std::int64_t begin = 0; begin < rows.columns; begin += width) {
      const std::int64_t end = std::min(begin + width, rows.columns);
      const Vector factor = hn::Set(d, matrix.scales.at(block_row, begin / width) * matrix.factor);
      std::int64_t k = begin;
      for (; k + Format::kSpan <= end; k += Format::kSpan) decode(row, k, factor, out + k);
      if (k == end) continue;
      const PaddedCodes<Format> padded(row, k, end);
      float values[static_cast<std::size_t>(Format::kSpan)];
      decode(padded.bytes, 0, factor, values);
      std::copy(values, values + (end - k), out + k);
    }
  }
  return hn::AllFalse(words, bad);
}

#define MOESIM_BY_FORMAT(function, ...)   \
  switch (rows.matrix.format) {           \
    case ElementFormat::f32:              \
      return function<F32>(__VA_ARGS__);  \
    case ElementFormat::bf16:             \
      return function<Bf16>(__VA_ARGS__); \
    case ElementFormat::f16:              \
      return function<F16>(__VA_ARGS__);  \
    case ElementFormat::e4m3:             \
      return function<E4m3>(__VA_ARGS__); \
    case ElementFormat::e2m1:             \
      return function<E2m1>(__VA_ARGS__); \
    case ElementFormat::int4:             \
      break;                              \
  }                                       \
  return function<Int4>(__VA_ARGS__)

void multiply_any(const StoredRows& rows, const FewRows& operands) {
  MOESIM_BY_FORMAT(multiply, rows, operands);
}

bool expand_any(const StoredRows& rows, float* out) { MOESIM_BY_FORMAT(expand, rows, out); }

#undef MOESIM_BY_FORMAT

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace moesim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesim {
namespace {
HWY_EXPORT(multiply_any);
HWY_EXPORT(expand_any);
}  // namespace

void multiply_rows(const StoredRows& rows, const FewRows& operands) {
  HWY_DYNAMIC_DISPATCH(multiply_any)(rows, operands);
}

bool expand_rows(const StoredRows& rows, float* out) {
  return HWY_DYNAMIC_DISPATCH(expand_any)(rows, out);
}

bool expand_transposed(const StoredRows& rows, float* out) {
  constexpr std::int64_t kStrip = 16, kAcross = 128;  // stored rows at a time, and of each so much
  float strip[kStrip * kAcross];
  const StoredMatrix& matrix = rows.matrix;
  bool finite = true;
  for (std::int64_t across = 0; across < rows.count; across += kAcross) {
    const std::int64_t width = std::min(kAcross, rows.count - across);
    StoredMatrix shifted = matrix;  // begins at the first column wanted
    shifted.data += (rows.first + across) * bits_of(matrix.format) / 8;
    for (std::int64_t c = 0; c < rows.columns; c += kStrip) {
      const std::int64_t height = std::min(kStrip, rows.columns - c);
      finite &= expand_rows({shifted, c, height, width}, strip);
      for (std::int64_t r = 0; r < width; ++r)
        for (std::int64_t i = 0; i < height; ++i)
          out[(across + r) * rows.columns + c + i] = strip[i * width + r];
    }
  }
  return finite;
}

}  // namespace moesim
#endif  // HWY_ONCE
