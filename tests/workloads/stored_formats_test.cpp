// Every code of every stored format against its definition, and the kernels that read them against
// plain loops in double precision, on every instruction set that this CPU has.
#include "workloads/forward/stored_formats.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "tests/workloads/every_target.h"
#include "workloads/forward/matrix_vector.h"

namespace moesim {
namespace {

using Codes = std::vector<std::byte>;

// Exact value of sign, exponent and mantissa: (-1)^s 2^(e - bias) (1 + m / 2^bits), and without the
// 1 and with exponent 1 - bias where e = 0.
double value_of(int code, int exponent_bits, int mantissa_bits, int bias) {
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int exponent = code >> mantissa_bits & ((1 << exponent_bits) - 1);
  const double fraction = mantissa / static_cast<double>(1 << mantissa_bits);
  const double size =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return (code >> (mantissa_bits + exponent_bits) & 1) != 0 ? -size : size;
}

StoredMatrix matrix_of(ElementFormat format, const Codes& codes, std::int64_t columns) {
  StoredMatrix matrix;
  matrix.format = format;
  matrix.data = codes.data();
  matrix.stride = columns;
  return matrix;
}

std::vector<float> expanded(const StoredRows& rows, bool finite = true) {
  std::vector<float> out(static_cast<std::size_t>(rows.count * rows.columns));
  CHECK(expand_rows(rows, out.data()) == finite);
  return out;
}

bool same_float(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

TEST_CASE("an E4M3 code is sign, exponent with bias 7 and three bits of mantissa") {
  Codes codes;
  for (int code = 0; code < 256; ++code) codes.push_back(static_cast<std::byte>(code));
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_value(static_cast<std::uint8_t>(code));
    if ((code & 0x7F) == 0x7F)
      CHECK(std::isnan(value));
    else
      CHECK(value == value_of(code, 4, 3, 7));
  }
  CHECK(e4m3_value(0x7E) == 448.0F);  // the largest, as the paper gives it
  on_every_target([&] {
    const auto values = expanded({matrix_of(ElementFormat::e4m3, codes, 256), 0, 1, 256}, false);
    for (int code = 0; code < 256; ++code)
      CHECK(same_float(values[static_cast<std::size_t>(code)],
                       e4m3_value(static_cast<std::uint8_t>(code))));
  });
}

TEST_CASE("4-bit codes lie low half first; E2M1 has bias 1, int4 is the code less 8") {
  Codes codes;
  for (int byte = 0; byte < 256; ++byte) codes.push_back(static_cast<std::byte>(byte));
  for (int code = 0; code < 16; ++code)
    CHECK(e2m1_value(static_cast<std::uint8_t>(code)) == value_of(code, 2, 1, 1));
  on_every_target([&] {
    const auto e2m1 = expanded({matrix_of(ElementFormat::e2m1, codes, 512), 0, 1, 512});
    const auto int4 = expanded({matrix_of(ElementFormat::int4, codes, 512), 0, 1, 512});
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto low = static_cast<std::uint8_t>(byte & 15),
                 high = static_cast<std::uint8_t>(byte >> 4);
      CHECK(same_float(e2m1[2 * byte], e2m1_value(low)));
      CHECK(same_float(e2m1[2 * byte + 1], e2m1_value(high)));
      CHECK(int4[2 * byte] == static_cast<float>(low) - 8);
      CHECK(int4[2 * byte + 1] == static_cast<float>(high) - 8);
    }
  });
}

TEST_CASE("an E8M0 code is a power of two from 2^-127 to 2^127, or NaN") {
  for (int code = 0; code < 255; ++code)
    CHECK(e8m0_value(static_cast<std::uint8_t>(code)) == std::ldexp(1.0, code - 127));
  CHECK(std::isnan(e8m0_value(255)));
}

TEST_CASE("an F16 code is IEEE 754 binary16 and a BF16 code the upper half of a float32") {
  Codes codes(2 * 65536);
  for (std::size_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    std::memcpy(&codes[2 * code], &bits, sizeof bits);
    const float value = f16_value(bits);
    if ((code >> 10 & 31) == 31)
      CHECK_FALSE(std::isfinite(value));
    else
      CHECK(value == value_of(static_cast<int>(code), 5, 10, 15));
  }
  on_every_target([&] {
    const auto f16 = expanded({matrix_of(ElementFormat::f16, codes, 65536), 0, 1, 65536}, false);
    const auto bf16 = expanded({matrix_of(ElementFormat::bf16, codes, 65536), 0, 1, 65536}, false);
    bool same = true;
    for (std::size_t code = 0; code < 65536; ++code)
      same = same && same_float(f16[code], f16_value(static_cast<std::uint16_t>(code))) &&
             same_float(bf16[code], bf16_value(static_cast<std::uint16_t>(code)));
    CHECK(same);
  });
}

// A matrix of random codes (all finite) with its scales, and its elements in double precision.
struct RandomMatrix {
  std::int64_t rows, columns;
  Codes codes;
  std::vector<float> scale_values;
  StoredMatrix matrix;
  std::vector<double> elements;

  RandomMatrix(ElementFormat format, std::int64_t rows_, std::int64_t columns_)
      : rows(rows_), columns(columns_) {
    Random random(7);
    const std::int64_t per_row = (columns * bits_of(format) + 7) / 8;
    for (std::int64_t i = 0; i < rows * per_row; ++i)
      codes.push_back(static_cast<std::byte>(random.below(256)));
    matrix = matrix_of(format, codes, per_row * 8 / bits_of(format));
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c) elements.push_back(make_finite(r, c));
  }

  // The element's value; a code of an exponent of ones (or of one close to it: sums of such values
  // would say nothing) gets another exponent first.
  double make_finite(std::int64_t r, std::int64_t c) {
    std::byte* row = codes.data() + (matrix.row(r) - matrix.data);
    const auto bytes = static_cast<std::size_t>(bits_of(matrix.format) / 8);
    std::uint32_t code = 0;
    if (bytes == 0) {
      code = static_cast<std::uint32_t>(row[c / 2]) >> (c % 2 * 4) & 15;
      return matrix.format == ElementFormat::e2m1 ? value_of(static_cast<int>(code), 2, 1, 1)
                                                  : static_cast<double>(code) - 8;
    }
    std::byte* at = row + static_cast<std::size_t>(c) * bytes;
    if (bytes == 4 || matrix.format == ElementFormat::bf16)
      at[bytes - 1] = std::byte{0x3F} | (at[bytes - 1] & std::byte{0x80});  // 0.5 to 2
    else if (bytes == 2)
      at[1] &= std::byte{0xBF};  // below 2
    else if ((*at & std::byte{0x7F}) == std::byte{0x7F})
      *at = std::byte{0x7E};
    std::memcpy(&code, at, bytes);
    if (matrix.format == ElementFormat::e4m3) return e4m3_value(static_cast<std::uint8_t>(code));
    if (matrix.format == ElementFormat::f16) return f16_value(static_cast<std::uint16_t>(code));
    return std::bit_cast<float>(bytes == 4 ? code : code << 16);
  }

  void scale_by_block(std::int64_t block_rows, std::int64_t block_columns) {
    const std::int64_t across = (columns + block_columns - 1) / block_columns;
    for (std::int64_t i = 0; i < (rows + block_rows - 1) / block_rows * across; ++i)
      scale_values.push_back(0.25F * static_cast<float>(i % 7 + 1));
    matrix.scales = {ScaleFormat::f32, reinterpret_cast<const std::byte*>(scale_values.data()),
                     across, block_rows, block_columns};
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c)
        elements[static_cast<std::size_t>(r * columns + c)] *=
            scale_values[static_cast<std::size_t>(r / block_rows * across + c / block_columns)];
  }
};

const std::vector<ElementFormat> kAllFormats{ElementFormat::f32,  ElementFormat::bf16,
                                             ElementFormat::f16,  ElementFormat::e4m3,
                                             ElementFormat::e2m1, ElementFormat::int4};

// Sizes that fill no vector, block or group of rows evenly.
std::vector<RandomMatrix> matrices(ElementFormat format) {
  std::vector<RandomMatrix> made;
  made.emplace_back(format, 7, 1);
  made.emplace_back(format, 9, 75);
  made.emplace_back(format, 130, 260).scale_by_block(128, 128);
  made.emplace_back(format, 6, 96).scale_by_block(1, 32);
  return made;
}

TEST_CASE("expanding gives code times scale, at the edges of blocks too") {
  for (const ElementFormat format : kAllFormats)
    for (const RandomMatrix& random : matrices(format))
      on_every_target([&] {
        const auto values = expanded({random.matrix, 0, random.rows, random.columns});
        for (std::size_t i = 0; i < values.size(); ++i)
          CHECK(values[i] == static_cast<float>(random.elements[i]));
        const auto last = expanded({random.matrix, random.rows - 1, 1, random.columns});
        CHECK(last == std::vector<float>(values.end() - random.columns, values.end()));
      });
}

std::vector<float> input(std::int64_t size) {
  Random random(3);
  std::vector<float> x;
  for (std::int64_t i = 0; i < size; ++i) x.push_back(static_cast<float>(random.normal()));
  return x;
}

TEST_CASE("products with stored rows equal sums in double precision") {
  constexpr std::int64_t kTokens = 5;
  for (const ElementFormat format : kAllFormats)
    for (const RandomMatrix& random : matrices(format)) {
      const auto x = input(kTokens * random.columns);
      on_every_target([&] {
        std::vector<float> y(static_cast<std::size_t>(kTokens * random.rows));
        multiply_rows({random.matrix, 0, random.rows, random.columns},
                      {x.data(), kTokens, random.columns, y.data(), random.rows});
        for (std::int64_t t = 0; t < kTokens; ++t)
          for (std::int64_t n = 0; n < random.rows; ++n) {
            double sum = 0, sizes = 0;
            for (std::int64_t c = 0; c < random.columns; ++c) {
              const double term =
                  random.elements[static_cast<std::size_t>(n * random.columns + c)] *
                  x[static_cast<std::size_t>(t * random.columns + c)];
              sum += term;
              sizes += std::abs(term);
            }
            // A float32 sum errs by at most 2^-24 of its terms' sizes for each addition.
            const double bound = std::ldexp(sizes, -24) * static_cast<double>(random.columns + 4);
            CHECK(std::abs(y[static_cast<std::size_t>(t * random.rows + n)] - sum) <=
                  bound + 1e-30);
          }
      });
    }
}

TEST_CASE("a product has the same bits for any number of x rows and any cut of the weight's rows") {
  constexpr std::int64_t kTokens = 5;
  for (const ElementFormat format : kAllFormats)
    for (const RandomMatrix& random : matrices(format)) {
      const std::int64_t rows = random.rows, columns = random.columns;
      const auto x = input(kTokens * columns);
      on_every_target([&] {
        std::vector<float> together(static_cast<std::size_t>(kTokens * rows)), alone(together);
        multiply_rows({random.matrix, 0, rows, columns},
                      {x.data(), kTokens, columns, together.data(), rows});
        for (std::int64_t t = 0; t < kTokens; ++t)
          for (std::int64_t n = 0; n < rows; n += 3)
            multiply_rows({random.matrix, n, std::min<std::int64_t>(3, rows - n), columns},
                          {x.data() + t * columns, 1, columns, alone.data() + t * rows + n, rows});
        CHECK(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)) == 0);
      });
    }
}

TEST_CASE("a matrix stored transposed expands to its transpose") {
  const RandomMatrix random(ElementFormat::bf16, 37, 300);  // stored [columns 37][rows 300]
  constexpr std::int64_t kFirst = 11, kCount = 200;
  std::vector<float> out(static_cast<std::size_t>(kCount * random.rows));
  CHECK(expand_transposed({random.matrix, kFirst, kCount, random.rows}, out.data()));
  for (std::int64_t r = 0; r < kCount; ++r)
    for (std::int64_t c = 0; c < random.rows; ++c)
      CHECK(out[static_cast<std::size_t>(r * random.rows + c)] ==
            random.elements[static_cast<std::size_t>(c * random.columns + kFirst + r)]);
}

TEST_CASE("scales that are NaN or overflow make values that are not finite") {
  const Codes six(16, std::byte{0x77});  // E2M1: 6, 6
  for (const int code : {255, 254}) {    // NaN; 6 * 2^127 is beyond float32
    const auto scale = static_cast<std::byte>(code);
    StoredMatrix matrix = matrix_of(ElementFormat::e2m1, six, 32);
    matrix.scales = {ScaleFormat::e8m0, &scale, 1, 1, 32};
    expanded({matrix, 0, 1, 32}, false);
    const std::vector<float> x(32, 1.0F);
    float y = 0;
    multiply_rows({matrix, 0, 1, 32}, {x.data(), 1, 32, &y, 1});
    CHECK_FALSE(std::isfinite(y));
  }
}

}  // namespace
}  // namespace moesim
