// Matrices found in checkpoints in every stored form, written by hand from the forms' definitions,
// and every way in which codes and scales can fail to fit.
#include "workloads/forward/stored_tensors.h"

#include <doctest/doctest.h>

#include <cstring>

#include "tests/workloads/golden.h"
#include "workloads/forward/checkpoint.h"

namespace moesim {
namespace {

using Bytes8 = std::vector<std::uint8_t>;

// A checkpoint folder with the tensors added.
class StoredFolder {
 public:
  template <class T>
  void add(const std::string& name,
           Dtype dtype,
           const std::vector<std::int64_t>& shape,
           const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span<const T>(values));
    tensors_[name] = {dtype, shape, {bytes.begin(), bytes.end()}};
  }

  std::vector<float> read(const MatrixRequest& request, std::int64_t columns) const {
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors_)
      views.push_back({name, tensor.dtype, tensor.shape, tensor.data});
    write_safetensors(folder_ / "model.safetensors", views, {});
    const Checkpoint checkpoint(folder_.path());
    const auto weight = checkpoint.stacked({request}, columns);
    Floats buffer;
    const float* values = weight->expand(0, request.rows, buffer);
    return {values, values + request.rows * columns};
  }

  void check_refused(const MatrixRequest& request,
                     std::int64_t columns,
                     const std::vector<std::string>& parts) const {
    const std::string message = input_error_of([&] { read(request, columns); });
    CAPTURE(message);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(message.find(part) != std::string::npos);
    }
  }

 private:
  test::TemporaryFolder folder_;
  std::map<std::string, LooseCheckpoint::Tensor> tensors_;
};

const MatrixRequest kW{.name = "w.weight", .rows = 2};

TEST_CASE("F16 weights are read, also as a slice and transposed") {
  // 1.0 = 0x3C00 in binary16; adding 0x0400 doubles.
  const std::vector<std::uint16_t> powers{0x3C00, 0x4000, 0x4400, 0x4800, 0x4C00, 0x5000,
                                          0x5400, 0x5800, 0x5C00, 0x6000, 0x6400, 0x6800};
  StoredFolder folder;
  folder.add("w.weight", Dtype::f16, {2, 3}, std::vector(powers.begin(), powers.begin() + 6));
  folder.add("fused", Dtype::f16, {2, 2, 3}, powers);
  CHECK(folder.read(kW, 3) == std::vector<float>{1, 2, 4, 8, 16, 32});
  const MatrixRequest second{.name = "fused", .rows = 2, .slice = 1, .slices = 2};
  CHECK(folder.read(second, 3) == std::vector<float>{64, 128, 256, 512, 1024, 2048});
  MatrixRequest turned = second;
  turned.rows = 3;
  turned.transposed = true;
  CHECK(folder.read(turned, 2) == std::vector<float>{64, 512, 128, 1024, 256, 2048});
  turned.slices = 3;
  folder.check_refused(turned, 2, {"fused", "[2, 2, 3]", "[3, 2, 3]"});
}

TEST_CASE("FP8 weights are scaled by block, row or tensor") {
  constexpr std::int64_t kRows = 130, kColumns = 129;  // 2 x 2 blocks, the last ones narrow
  const Bytes8 ones(kRows * kColumns, 0x38);           // 1.0: exponent 7, the bias
  const MatrixRequest request{.name = "w.weight", .rows = kRows};
  StoredFolder folder;
  folder.add("w.weight", Dtype::f8_e4m3, {kRows, kColumns}, ones);
  folder.check_refused(
      request, kColumns,
      {"w.weight", "F8_E4M3", "scales are missing", "w.weight_scale_inv", "w.scale"});
  const auto corners = [&](const StoredFolder& of) {
    const auto values = of.read(request, kColumns);
    return std::vector<float>{values[127 * kColumns + 127], values[127 * kColumns + 128],
                              values[128 * kColumns], values[129 * kColumns + 128]};
  };
  StoredFolder v4 = {}, by_row = {}, by_tensor = {};
  folder.add("w.weight_scale_inv", Dtype::f32, {2, 2}, std::vector<float>{1, 2, 3, 4});
  CHECK(corners(folder) == std::vector<float>{1, 2, 3, 4});
  v4.add("w.weight", Dtype::f8_e4m3, {kRows, kColumns}, ones);
  v4.add("w.scale", Dtype::f8_e8m0, {2, 2}, Bytes8{126, 127, 128, 129});  // 2^(code - 127)
  CHECK(corners(v4) == std::vector<float>{0.5, 1, 2, 4});
  std::vector<float> rows(kRows, 1);
  rows[129] = 7;
  by_row.add("w.weight", Dtype::f8_e4m3, {kRows, kColumns}, ones);
  by_row.add("w.weight_scale", Dtype::f32, {kRows, 1}, rows);
  CHECK(corners(by_row) == std::vector<float>{1, 1, 1, 7});
  by_tensor.add("w.weight", Dtype::f8_e4m3, {kRows, kColumns}, ones);
  by_tensor.add("w.weight_scale", Dtype::f32, {1}, std::vector<float>{3});
  CHECK(corners(by_tensor) == std::vector<float>{3, 3, 3, 3});
  folder.add("w.weight_scale_inv", Dtype::f32, {1, 2}, std::vector<float>{1, 2});
  folder.check_refused(request, kColumns, {"w.weight_scale_inv", "[1, 2]", "[2, 2]"});
  folder.add("w.weight_scale_inv", Dtype::i32, {2, 2}, std::vector<std::int32_t>{1, 2, 3, 4});
  folder.check_refused(request, kColumns, {"w.weight_scale_inv", "I32", "scales must be"});
}

// 32 columns: E2M1 codes 0 to 15 in order, twice; two codes a byte, the first in the low half.
Bytes8 all_e2m1() {
  Bytes8 bytes;
  for (int i = 0; i < 16; ++i)
    bytes.push_back(static_cast<std::uint8_t>((2 * i) % 16 | (2 * i + 1) % 16 << 4));
  return bytes;
}
std::vector<float> e2m1_values(float scale) {
  std::vector<float> values;
  for (int i = 0; i < 2; ++i)
    for (const float sign : {1.0F, -1.0F})
      for (const float size : {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F})
        values.push_back(sign * size * scale);
  return values;
}

TEST_CASE("MXFP4 blocks of a fused tensor are read by slice, never transposed") {
  const Bytes8 row = all_e2m1();
  Bytes8 blocks;
  for (int i = 0; i < 4; ++i) blocks.insert(blocks.end(), row.begin(), row.end());
  StoredFolder folder;
  folder.add("up_blocks", Dtype::u8, {2, 2, 1, 16}, blocks);
  MatrixRequest request{
      .name = "up", .rows = 2, .slice = 1, .slices = 2, .transposed = true};  // as its BF16 form is
  folder.check_refused(request, 32, {"up_scales is missing", "[2, 2, 1]"});
  folder.add("up_scales", Dtype::u8, {2, 2, 1}, Bytes8{127, 127, 128, 126});
  std::vector<float> expected = e2m1_values(2);  // the second slice's scales: 2 and 0.5
  const auto second = e2m1_values(0.5F);
  expected.insert(expected.end(), second.begin(), second.end());
  CHECK(folder.read(request, 32) == expected);
  folder.check_refused(request, 48, {"up_blocks", "48 columns"});
  folder.add("up_scales", Dtype::u8, {2, 2, 1}, Bytes8{127, 127, 128, 255});
  folder.check_refused(request, 32, {"up_blocks", "element 96 is nan"});  // slice 1, row 1
}

TEST_CASE("DeepSeek's FP4 weights have a scale a row and 32 columns") {
  StoredFolder folder;
  Bytes8 codes = all_e2m1();
  const Bytes8 row = codes;
  codes.insert(codes.end(), row.begin(), row.end());
  folder.add("w.weight", Dtype::i8, {2, 16}, codes);
  folder.add("w.scale", Dtype::f8_e8m0, {2, 1}, Bytes8{129, 127});
  std::vector<float> expected = e2m1_values(4);
  const auto second = e2m1_values(1);
  expected.insert(expected.end(), second.begin(), second.end());
  CHECK(folder.read(kW, 32) == expected);
  folder.check_refused(kW, 64, {"w.weight", "[2, 16]", "[2, 32]"});
}

TEST_CASE("pack-quantized 4-bit integers are eight a word, lowest bits first, less 8") {
  StoredFolder folder;
  folder.add("w.weight_packed", Dtype::i32, {2, 1},
             std::vector<std::uint32_t>{0x76543210, 0xFEDCBA98});
  folder.check_refused(kW, 8, {"w.weight_packed", "w.weight_scale is not there"});
  folder.add("w.weight_scale", Dtype::bf16, {2, 2},
             std::vector<std::uint16_t>{0x3F80, 0x4000, 0x3F80, 0x4000});  // 1 and 2 in BF16
  CHECK(folder.read(kW, 8) ==
        std::vector<float>{-8, -7, -6, -5, -8, -6, -4, -2, 0, 1, 2, 3, 8, 10, 12, 14});
  folder.add("w.weight_scale", Dtype::bf16, {2, 3}, std::vector<std::uint16_t>(6, 0x3F80));
  folder.check_refused(kW, 8, {"w.weight_scale", "3 scales a row"});
}

TEST_CASE("types that hold no weights are refused by name") {
  StoredFolder folder;
  folder.add("w.weight", Dtype::f64, {2, 1}, std::vector<double>{1, 2});
  folder.check_refused(kW, 1, {"w.weight", "F64", "F8_E4M3"});
  folder.add("w.weight", Dtype::f8_e5m2, {2, 1}, Bytes8{0, 0});
  folder.check_refused(kW, 1, {"w.weight", "F8_E5M2"});
}

TEST_CASE("integer tables are checked against their limit") {
  const test::TemporaryFolder folder;
  const std::vector<std::int64_t> values{0, 3, 2, 1};
  write_safetensors(folder / "model.safetensors",
                    {{"ids", Dtype::i64, {2, 2}, std::as_bytes(std::span(values))}}, {});
  const Checkpoint checkpoint(folder.path());
  CHECK(checkpoint.ids("ids", {2, 2}, 4) == values);
  CHECK(input_error_of([&] {
          checkpoint.ids("ids", {2, 2}, 3);
        }).find("element 1 is 3, not between 0 and 2") != std::string::npos);
}

}  // namespace
}  // namespace moesim
