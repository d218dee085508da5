// The NumPy array file: what is written comes back, files laid out by hand from the format's
// definition are read, and everything malformed is refused with its byte.
#include "sim/io/npy.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <limits>

#include "sim/core/error.h"
#include "tests/temporary_folder.h"

namespace moesim {
namespace {

template <class T>
std::span<const std::byte> npy_bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

// A version 1 file of this header and data, unpadded: the format asks for padding only for speed.
std::string npy_file(const std::string& header, const std::string& data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xFFU);
  file += static_cast<char>(header.size() >> 8);
  return file + header + data;
}

NpyArray parsed(const std::string& file) {
  return read_npy(std::as_bytes(std::span<const char>(file)), "a.npy");
}

std::string npy_refusal(const std::string& file) {
  try {
    parsed(file);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}
std::string header_refusal(const std::string& header) {
  return npy_refusal(npy_file(header, std::string(24, '\0')));
}

void check_refusal(const std::string& message, const std::vector<std::string>& parts) {
  CAPTURE(message);
  CHECK(message.starts_with("a.npy: byte "));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

const std::string kGood = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n";

TEST_CASE("a file laid out by hand gives its type, shape and elements") {
  const std::vector<std::int32_t> values{1, -2, 3, -4, 5, -6};
  const std::string data(reinterpret_cast<const char*>(values.data()), 24);
  const std::string file = npy_file(kGood, data);
  const NpyArray array = parsed(file);
  CHECK(array.type == NpyType::i32);
  CHECK(array.shape == std::vector<std::int64_t>{2, 3});
  CHECK(array.elements() == 6);
  CHECK(array.data_offset == 10 + kGood.size());
  CHECK(npy_integers(array, "a.npy") == std::vector<std::int64_t>{1, -2, 3, -4, 5, -6});
}

TEST_CASE("versions 2 and 3 have a header length of four bytes") {
  for (const char version : {'\2', '\3'}) {
    std::string file("\x93NUMPY", 6);
    file += version;
    file += '\0';
    file += static_cast<char>(kGood.size());
    file += std::string(3, '\0') + kGood + std::string(24, '\0');
    CHECK(parsed(file).elements() == 6);
  }
}

TEST_CASE("keys in any order and quotes of both kinds are read, as Python would") {
  const std::string file =
      npy_file("{\"shape\": (), 'fortran_order': False, \"descr\": '|u1'}   \n", "\x07");
  const NpyArray array = parsed(file);
  CHECK(array.shape.empty());
  CHECK(npy_integers(array, "a.npy") == std::vector<std::int64_t>{7});
}

TEST_CASE("an array of no elements has no data, whatever its other dimensions") {
  const std::string file = npy_file(
      "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4611686018427387904, 8), }\n", "");
  CHECK(parsed(file).elements() == 0);
}

TEST_CASE("every element type is written and read back") {
  const std::array<std::pair<NpyType, std::size_t>, 12> types{{{NpyType::u8, 1},
                                                               {NpyType::i8, 1},
                                                               {NpyType::u16, 2},
                                                               {NpyType::i16, 2},
                                                               {NpyType::u32, 4},
                                                               {NpyType::i32, 4},
                                                               {NpyType::u64, 8},
                                                               {NpyType::i64, 8},
                                                               {NpyType::f16, 2},
                                                               {NpyType::f32, 4},
                                                               {NpyType::f64, 8},
                                                               {NpyType::boolean, 1}}};
  for (const auto& entry : types) {
    const std::string name = to_text(entry.first);
    CAPTURE(name);
    CHECK(npy_size(entry.first) == entry.second);
    const std::vector<unsigned char> data(3 * entry.second, 1);
    const std::vector<std::int64_t> shape{3};
    const std::string file = npy_content(entry.first, shape, npy_bytes_of(data));
    CHECK((file.size() - data.size()) % 64 == 0);   // as NumPy aligns it
    CHECK(file.find("(3,)") != std::string::npos);  // a tuple of one has a comma
    const NpyArray array = parsed(file);
    CHECK(array.type == entry.first);
    CHECK(array.shape == shape);
    CHECK(std::memcmp(array.data.data(), data.data(), data.size()) == 0);
    const bool whole = name[1] == 'u' || name[1] == 'i';
    CHECK(is_npy_integer(entry.first) == whole);
    if (whole) CHECK(npy_integers(array, "a.npy").size() == 3);
    if (!whole) CHECK_THROWS_AS(npy_integers(array, "a.npy"), InputError);
  }
}

TEST_CASE("a file on disk is mapped and read back") {
  const test::TemporaryFolder folder;
  const std::vector<std::uint64_t> values{3, std::numeric_limits<std::int64_t>::max()};
  const std::vector<std::int64_t> shape{1, 2};
  write_npy(folder / "u.npy", NpyType::u64, shape, npy_bytes_of(values));
  const NpyFile file(folder / "u.npy");
  CHECK(file.path() == folder / "u.npy");
  CHECK(file.array().shape == shape);
  CHECK(npy_integers(file.array(), "u.npy") ==
        std::vector<std::int64_t>{3, std::numeric_limits<std::int64_t>::max()});
  CHECK_THROWS_AS(NpyFile(folder / "none.npy"), InputError);
}

TEST_CASE("an unsigned number beyond 2^63 - 1 is refused by its index and byte") {
  const std::vector<std::uint64_t> values{0, std::uint64_t{1} << 63};
  const std::vector<std::int64_t> shape{2};
  const std::string file = npy_content(NpyType::u64, shape, npy_bytes_of(values));
  try {
    npy_integers(parsed(file), "a.npy");
    FAIL("not refused");
  } catch (const InputError& error) {
    // One header of 128 bytes at most: the text is shorter than 118.
    check_refusal(error.what(), {"byte 136: element 1 is 9223372036854775808"});
  }
}

TEST_CASE("a file that is no .npy is refused at its first bytes") {
  check_refusal(npy_refusal(""), {"byte 0: not a NumPy array"});
  check_refusal(npy_refusal("PK\3\4 a zip archive"), {"byte 0", "\"PK\\x03\\x04 a\""});
  check_refusal(npy_refusal("\x93NUMPY\1"), {"byte 6", "ends inside the version"});
  check_refusal(npy_refusal(std::string("\x93NUMPY\4\0", 8)), {"byte 6", "version 4.0"});
  check_refusal(npy_refusal(std::string("\x93NUMPY\1\1", 8)), {"byte 6", "version 1.1"});
  check_refusal(npy_refusal(std::string("\x93NUMPY\1\0v", 9)), {"byte 8", "header's length"});
  check_refusal(npy_refusal(std::string("\x93NUMPY\1\0\xff\xff{", 11)),
                {"byte 8", "end at byte 65545", "ends at byte 11", "truncated"});
}

TEST_CASE("data shorter or longer than the shape is refused with the byte where it goes wrong") {
  const std::size_t begin = 10 + kGood.size();
  check_refusal(npy_refusal(npy_file(kGood, std::string(23, '\0'))),
                {"byte " + std::to_string(begin) + ":", "needs 24 bytes", "holds 23", "truncated"});
  check_refusal(npy_refusal(npy_file(kGood, std::string(26, '\0'))),
                {"byte " + std::to_string(begin + 24) + ":", "2 bytes follow"});
}

TEST_CASE("a header that is not exactly the dictionary is refused") {
  check_refusal(header_refusal(""), {"byte 10", "newline"});
  check_refusal(header_refusal("{}"), {"newline"});
  check_refusal(header_refusal("[]\n"), {"byte 10", "must be a dictionary"});
  check_refusal(header_refusal("{}\n"), {"lacks the key 'descr'"});
  check_refusal(header_refusal("{'descr': '<i4'}\n"), {"lacks the key 'fortran_order'"});
  check_refusal(header_refusal("{'descr': '<i4', 'fortran_order': False}\n"),
                {"lacks the key 'shape'"});
  check_refusal(header_refusal("{'descr': '<i4', 'descr': '<i4'}\n"),
                {"byte 27", "'descr' stands twice"});
  check_refusal(header_refusal("{'shap': ()}\n"),
                {"byte 11", "unknown key \"shap\"", "did you mean \"shape\""});
  check_refusal(header_refusal("{'descr' '<i4'}\n"), {"expected ':'"});
  check_refusal(header_refusal("{'descr': '<i4' 'shape': ()}\n"), {"expected ',' or '}'"});
  check_refusal(header_refusal("{descr: 1}\n"), {"a key must be a quoted text"});
  check_refusal(header_refusal("{'descr\n"), {"without an end"});
  check_refusal(header_refusal("{'descr': '<i4'\n"), {"expected ',' or '}'"});
  std::string tail = kGood;
  tail.replace(tail.size() - 1, 1, " x\n");
  check_refusal(header_refusal(tail), {"only spaces may follow"});
}

TEST_CASE("column order and element types that are not read are refused by name") {
  check_refusal(header_refusal("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }\n"),
                {"fortran_order is True", "ascontiguousarray"});
  check_refusal(header_refusal("{'fortran_order': 0}\n"), {"must be True or False, not \"0"});
  check_refusal(header_refusal("{'descr': '>i4'}\n"), {"\">i4\"", "big-endian", "<i4"});
  check_refusal(header_refusal("{'descr': '|O'}\n"), {"\"|O\"", "pickle"});
  check_refusal(header_refusal("{'descr': '<c8'}\n"), {"\"<c8\" is not read"});
  check_refusal(header_refusal("{'descr': ''}\n"), {"element type \"\" is not read"});
  check_refusal(header_refusal("{'descr': [('a', '<i4')]}\n"), {"structured elements"});
}

TEST_CASE("a shape that is no tuple of whole numbers is refused") {
  const auto refusal = [](const std::string& shape) {
    return header_refusal("{'descr': '<i4', 'fortran_order': False, 'shape': " + shape + "}\n");
  };
  check_refusal(refusal("6"), {"shape must be a tuple"});
  check_refusal(refusal("(6)"), {"a tuple of one needs its comma"});
  check_refusal(refusal("(-1,)"), {"whole number of 0 or more"});
  check_refusal(refusal("(2 3)"), {"expected ',' or ')'"});
  check_refusal(refusal("(2,,3)"), {"whole number of 0 or more"});
  check_refusal(refusal("(2, 3"), {"expected ',' or ')'"});
  check_refusal(refusal("(9223372036854775808,)"), {"beyond 2^63"});
  check_refusal(refusal("(4294967296, 4294967296)"), {"more than 2^63 bytes"});
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1, ";
  check_refusal(refusal(many + ")"), {"more than 64 dimensions"});
}

}  // namespace
}  // namespace moesim
