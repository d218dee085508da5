// The kernels read and write what they are given and not a byte more: every operand begins behind
// one guard page or ends before one, for every format, odd sizes and every instruction set.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "tests/workloads/every_target.h"
#include "workloads/forward/exact_product.h"
#include "workloads/forward/matrix_vector.h"

namespace moesim {
namespace {

// `size` bytes that end where an inaccessible page begins, or begin where one ends.
class Guarded {
 public:
  enum class Side { before, after };

  Guarded(std::size_t size, Side guard) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t pages = (size + page - 1) / page * page;
    mapped_ = pages + 2 * page;
    void* memory =
        ::mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, /*offset=*/0);
    REQUIRE(memory != MAP_FAILED);
    start_ = static_cast<std::byte*>(memory);
    REQUIRE(::mprotect(start_ + page, pages, PROT_READ | PROT_WRITE) == 0);
    data_ = start_ + page + (guard == Side::after ? pages - size : 0);
  }
  ~Guarded() { ::munmap(start_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::byte* bytes() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }

 private:
  std::size_t mapped_ = 0;
  std::byte* start_ = nullptr;
  std::byte* data_ = nullptr;
};

struct Shape {
  ElementFormat format;
  ScaleFormat scales;
  std::int64_t rows, columns, block_columns, x_rows;
};

std::size_t bytes_of(ScaleFormat format) {
  if (format == ScaleFormat::f32) return 4;
  return format == ScaleFormat::e8m0 ? 1 : 2;
}

// All codes 0x11, which is a finite number in every format; scales of 2^0 or near it.
void run_kernels(const Shape& shape, Guarded::Side side) {
  const std::int64_t per_row = (shape.columns * bits_of(shape.format) + 7) / 8;
  const Guarded codes(static_cast<std::size_t>(shape.rows * per_row), side);
  std::memset(codes.bytes(), 0x11, static_cast<std::size_t>(shape.rows * per_row));
  StoredMatrix matrix;
  matrix.format = shape.format;
  matrix.data = codes.bytes();
  matrix.stride = per_row * 8 / bits_of(shape.format);
  const std::int64_t blocks = (shape.columns + shape.block_columns - 1) / shape.block_columns;
  const bool scaled = shape.scales != ScaleFormat::none;
  const std::size_t scale_bytes =
      scaled ? static_cast<std::size_t>(shape.rows * blocks) * bytes_of(shape.scales) : 1;
  const Guarded scales(scale_bytes, side);
  std::memset(scales.bytes(), 0x3F, scale_bytes);
  if (scaled) matrix.scales = {shape.scales, scales.bytes(), blocks, 1, shape.block_columns};

  const auto cells = [](std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(rows * columns) * sizeof(float);
  };
  const StoredRows rows{matrix, 0, shape.rows, shape.columns};
  const Guarded expanded(cells(shape.rows, shape.columns), side);
  CHECK(expand_rows(rows, expanded.floats()));

  const Guarded x(cells(shape.x_rows, shape.columns), side);
  const Guarded y(cells(shape.x_rows, shape.rows), side);
  for (std::int64_t i = 0; i < shape.x_rows * shape.columns; ++i) x.floats()[i] = 1;
  multiply_rows(rows, {x.floats(), shape.x_rows, shape.columns, y.floats(), shape.rows});
  double sum = 0;
  for (std::int64_t column = 0; column < shape.columns; ++column)
    sum += expanded.floats()[(shape.rows - 1) * shape.columns + column];
  CHECK(y.floats()[shape.rows - 1] == doctest::Approx(sum).epsilon(1e-5));
}

void run_shapes(ElementFormat format, ScaleFormat scales, std::int64_t block_columns) {
  for (const Guarded::Side side : {Guarded::Side::before, Guarded::Side::after})
    for (const std::int64_t columns : {1, 2, 7, 16, 31, 33, 64, 100, 129})
      for (const std::int64_t rows : {1, 2, 5})
        for (const std::int64_t x_rows : {1, 2, 3, 8}) {
          CAPTURE(columns);
          CAPTURE(rows);
          CAPTURE(x_rows);
          run_kernels({format, scales, rows, columns, block_columns, x_rows}, side);
        }
}

TEST_CASE("products and expansions stay within their operands in every format") {
  on_every_target([] {
    for (const ElementFormat format :
         {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16, ElementFormat::e4m3,
          ElementFormat::e2m1, ElementFormat::int4}) {
      CAPTURE(static_cast<int>(format));
      run_shapes(format, ScaleFormat::none, 1);
    }
  });
}

TEST_CASE("so do those with a scale for each block") {
  on_every_target([] {
    run_shapes(ElementFormat::e4m3, ScaleFormat::f32, 128);
    run_shapes(ElementFormat::e4m3, ScaleFormat::bf16, 128);
    run_shapes(ElementFormat::e2m1, ScaleFormat::e8m0, 32);
    run_shapes(ElementFormat::int4, ScaleFormat::bf16, 32);
  });
}

TEST_CASE("a product in double precision reads its two vectors") {
  for (const Guarded::Side side : {Guarded::Side::before, Guarded::Side::after})
    for (const std::int64_t size : {1, 7, 8, 9, 31, 64}) {
      const Guarded a(static_cast<std::size_t>(size) * sizeof(float), side);
      const Guarded b(static_cast<std::size_t>(size) * sizeof(float), side);
      for (std::int64_t i = 0; i < size; ++i) {
        a.floats()[i] = static_cast<float>(i);
        b.floats()[i] = 2;
      }
      CHECK(exact_product(a.floats(), b.floats(), size) == static_cast<double>(size * (size - 1)));
    }
}

TEST_CASE("transposed matrices are expanded within their bounds") {
  on_every_target([] {
    for (const Guarded::Side side : {Guarded::Side::before, Guarded::Side::after})
      for (const ElementFormat format : {ElementFormat::f32, ElementFormat::bf16})
        for (const std::int64_t columns : {1, 3, 16, 33})
          for (const std::int64_t stride : {1, 5, 17, 64}) {
            const auto bytes = static_cast<std::size_t>(columns * stride * bits_of(format) / 8);
            const Guarded codes(bytes, side);
            std::memset(codes.bytes(), 0x11, bytes);
            StoredMatrix matrix;
            matrix.format = format;
            matrix.data = codes.bytes();
            matrix.stride = stride;
            const Guarded out(static_cast<std::size_t>(stride * columns) * sizeof(float), side);
            CHECK(expand_transposed({matrix, 0, stride, columns}, out.floats()));
          }
  });
}

}  // namespace
}  // namespace moesim
