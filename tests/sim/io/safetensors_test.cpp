// The safetensors container: what is written comes back, and a header that lies is refused with the
// file and the byte offset.
#include "sim/io/safetensors.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

// A file of this header and `data_bytes` zero bytes; `length` is what the file claims of its
// header.
std::string refusal_of(const std::string& header, std::size_t data_bytes, std::uint64_t length) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/t.safetensors";
  std::string content(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) content[i] = static_cast<char>(length >> (8 * i));
  write_file(path, content + header + std::string(data_bytes, '\0'));
  return input_error_of([&] { SafetensorsFile{path}; });
}
std::string refusal_of(const std::string& header, std::size_t data_bytes) {
  return refusal_of(header, data_bytes, header.size());
}

void check_contains(const std::string& text, const std::vector<std::string>& parts) {
  CAPTURE(text);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("tensors and metadata come back as written, in order and aligned") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/t.safetensors";
  const std::vector<float> f{1.5F, -2, 3, 4, 5, 6};
  const std::vector<std::uint16_t> u{7, 0xFFFF};
  const std::vector<std::int32_t> none;
  write_safetensors(path,
                    {{"z", Dtype::f32, {2, 3}, bytes_of(f)},
                     {"a", Dtype::u16, {2}, bytes_of(u)},
                     {"empty", Dtype::i32, {0, 5}, bytes_of(none)}},
                    {{"format", "pt"}, {"note", "quotes \" and\nlines"}});
  const SafetensorsFile file(path);
  CHECK(file.path() == path);
  CHECK(file.tensors().size() == 3);
  CHECK(file.metadata().at("note") == "quotes \" and\nlines");
  const TensorView* z = file.find("z");
  REQUIRE(z != nullptr);
  CHECK(z->shape == std::vector<std::int64_t>{2, 3});
  CHECK(z->elements() == 6);
  CHECK(floats_of(*z) == f);
  CHECK(z->data.data() == file.data().data());  // first in order
  CHECK(file.find("a")->data.data() == file.data().data() + 24);
  CHECK(std::memcmp(file.find("a")->data.data(), u.data(), 4) == 0);
  CHECK(file.find("empty")->elements() == 0);
  CHECK(file.find("absent") == nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(file.data().data()) % 8 == 0);
  CHECK(file.data().size() == 28);
}

TEST_CASE("every element type has its size and name") {
  const std::array<std::pair<Dtype, std::size_t>, 7> sizes{{{Dtype::f32, 4},
                                                            {Dtype::bf16, 2},
                                                            {Dtype::f16, 2},
                                                            {Dtype::i32, 4},
                                                            {Dtype::i64, 8},
                                                            {Dtype::u8, 1},
                                                            {Dtype::u16, 2}}};
  for (const auto& entry : sizes) CHECK(dtype_size(entry.first) == entry.second);
  CHECK(to_text(Dtype::bf16) == "BF16");
  CHECK(to_text(Dtype::u8) == "U8");
}

TEST_CASE("a file that is cut short is refused with the byte where it ends") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/t.safetensors";
  const std::vector<float> values(100, 1.0F);
  write_safetensors(path, {{"w", Dtype::f32, {100}, bytes_of(values)}}, {});
  const auto whole = std::filesystem::file_size(path);
  const auto refusal = [&](std::uintmax_t size) {
    std::filesystem::resize_file(path, size);
    return input_error_of([&] { SafetensorsFile{path}; });
  };
  check_contains(refusal(whole - 1),
                 {path, "tensor w", "ends at byte " + std::to_string(whole - 1), "truncated"});
  check_contains(refusal(20), {path, "byte 0", "file ends at byte 20", "truncated"});
  check_contains(refusal(5), {path, "5 bytes are fewer than the 8"});
  check_contains(refusal(0), {path, "not a safetensors file"});
}

TEST_CASE("a header length that cannot be true is refused") {
  const std::string header = R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  check_contains(refusal_of(header, 4, 1'000'000), {"byte 0", "truncated"});
  check_contains(refusal_of(header, 4, ~std::uint64_t{0}), {"byte 0", "limit"});
  check_contains(refusal_of(header, 4, header.size() - 1), {"header"});
  check_contains(refusal_of(header, 4, 0), {"header"});
  CHECK(refusal_of(header, 4) == "no InputError");
}

TEST_CASE("offsets that disagree with shape, file or each other are refused by tensor") {
  const auto entry = [](const std::string& shape, const std::string& offsets) {
    return R"({"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const auto one = [&](const std::string& shape, const std::string& offsets) {
    return refusal_of(R"({"w":)" + entry(shape, offsets) + "}", 16);
  };
  check_contains(one("[5]", "[0,16]"), {"tensor w", "span 16 bytes", "need 20"});
  check_contains(one("[4]", "[16,0]"), {"tensor w", "backwards"});
  check_contains(one("[8]", "[0,32]"), {"tensor w", "truncated"});
  check_contains(one("[2]", "[0,8]"), {"8 bytes after the last tensor"});
  check_contains(one("[2]", "[8,16]"), {"tensor w", "leaving a hole"});
  check_contains(one("[281474976710656,281474976710656]", "[0,16]"), {"impossibly large"});
  check_contains(one("[-4]", "[0,16]"), {"shape"});
  check_contains(one("[4]", "[0]"), {"two numbers"});
  check_contains(one("4", "[0,16]"), {"shape"});

  const auto two = [&](const std::string& first, const std::string& second) {
    return refusal_of(R"({"a":)" + entry("[2]", first) + R"(,"b":)" + entry("[2]", second) + "}",
                      16);
  };
  CHECK(two("[0,8]", "[8,16]") == "no InputError");
  check_contains(two("[0,8]", "[4,12]"), {"tensor b", "inside the tensor before it"});
  check_contains(two("[0,8]", "[0,8]"), {"tensor b", "inside the tensor before it"});
}

TEST_CASE("a header that is no proper JSON object of tensors is refused") {
  check_contains(refusal_of("[]", 0), {"object"});
  check_contains(refusal_of("{\"w\":", 0), {"t.safetensors"});
  check_contains(refusal_of(R"({"w":{"dtype":"F4","shape":[1],"data_offsets":[0,8]}})", 8),
                 {"F4", "F32"});
  check_contains(refusal_of(R"({"w":{"dtype":"U8","shape":[1]}})", 1), {"data_offsets"});
  check_contains(refusal_of(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                            R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                            1),
                 {"w"});
  check_contains(refusal_of(R"({"__metadata__":{"a":1}})", 0), {"__metadata__"});
}

}  // namespace
}  // namespace moesim
