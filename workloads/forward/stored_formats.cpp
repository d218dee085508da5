// Codes to values, by shifting exponents and mantissas into a float32.
#include "workloads/forward/stored_formats.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace moesim {
namespace {

template <class T>
T read_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);  // at any byte
  return value;
}

}  // namespace

float e4m3_value(std::uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float size = exponent == 0
                         ? std::ldexp(static_cast<float>(mantissa), -9)  // mantissa / 8 * 2^-6
                         : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (code & 0x80) != 0 ? -size : size;
}

float e2m1_value(std::uint8_t code) {
  constexpr float kSizes[] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
  const float size = kSizes[code & 7];
  return (code & 8) != 0 ? -size : size;
}

float e8m0_value(std::uint8_t code) {
  if (code == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0F, code - 127);
}

float f16_value(std::uint16_t code) {
  const int exponent = code >> 10 & 31, mantissa = code & 1023;
  float size = std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  if (exponent == 0) size = std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31)
    size = mantissa == 0 ? std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  return (code & 0x8000) != 0 ? -size : size;
}

float bf16_value(std::uint16_t code) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(code) << 16);
}

float BlockScales::at(std::int64_t block_row, std::int64_t block_column) const {
  const std::int64_t i = block_row * stride + block_column;
  switch (format) {
    case ScaleFormat::f32:
      return read_as<float>(data + 4 * i);
    case ScaleFormat::bf16:
      return bf16_value(read_as<std::uint16_t>(data + 2 * i));
    case ScaleFormat::f16:
      return f16_value(read_as<std::uint16_t>(data + 2 * i));
    case ScaleFormat::e8m0:
      return e8m0_value(read_as<std::uint8_t>(data + i));
    case ScaleFormat::none:
      break;
  }
  return 1.0F;
}

}  // namespace moesim
