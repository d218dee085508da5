// The number formats that checkpoints store weights in, as code -> value, and a matrix that stays
// in them: where its rows lie and how they are scaled.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moesim {

// One code of a format as float32, exact. NaN codes give NaN.
//   E4M3  sign, 4 exponent bits (bias 7), 3 mantissa bits; no infinity, 0x7F and 0xFF are NaN
//         (arXiv 2209.05433, section 3.1)
//   E2M1  sign, 2 exponent bits (bias 1), 1 mantissa bit: 0, 0.5, 1, 1.5, 2, 3, 4, 6
//   E8M0  a scale 2^(code - 127); 0xFF is NaN
//         (both: OCP Microscaling Formats 1.0, sections 5.3.3 and 5.4.1)
float e4m3_value(std::uint8_t code);
float e2m1_value(std::uint8_t code);  // the low 4 bits of `code`
float e8m0_value(std::uint8_t code);
float f16_value(std::uint16_t code);  // IEEE 754 binary16
float bf16_value(std::uint16_t code);

// Formats of 4 bits have the element of the even column in the low half of a byte. int4 is code
// - 8.
enum class ElementFormat { f32, bf16, f16, e4m3, e2m1, int4 };
enum class ScaleFormat { none, f32, bf16, f16, e8m0 };

inline std::int64_t bits_of(ElementFormat format) {
  if (format == ElementFormat::f32) return 32;
  if (format == ElementFormat::bf16 || format == ElementFormat::f16) return 16;
  return format == ElementFormat::e4m3 ? 8 : 4;
}

// One scale for each block of block_rows x block_columns elements, row-major.
struct BlockScales {
  ScaleFormat format = ScaleFormat::none;
  const std::byte* data = nullptr;
  std::int64_t stride = 0;  // scales from one row of blocks to the next
  std::int64_t block_rows = 1, block_columns = 1;

  float at(std::int64_t block_row, std::int64_t block_column) const;
};

// Rows of `stride` elements as a file has them, at any byte (4-bit rows begin at a whole byte).
struct StoredMatrix {
  ElementFormat format = ElementFormat::f32;
  const std::byte* data = nullptr;
  std::int64_t stride = 0;
  float factor = 1;    // of all elements; a power of two
  BlockScales scales;  // none: only `factor`
  // Where > 0, rows lie in a pool of so many elements that is used again and again: row r begins at
  // element (start + r * stride) % wrap.
  std::int64_t wrap = 0, start = 0;

  const std::byte* row(std::int64_t r) const {
    std::int64_t element = start + r * stride;
    if (wrap > 0) element %= wrap;
    return data + element * bits_of(format) / 8;
  }
};

}  // namespace moesim
