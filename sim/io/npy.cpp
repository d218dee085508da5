// The fixed bytes of a .npy file and its elements; the data's size is checked against the shape
// before anyone sees it.
#include "sim/io/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string_view>

#include "sim/core/error.h"
#include "sim/io/npy_header.h"

namespace moesim {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they lie");

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::size_t kVersionAt = 6, kLengthAt = 8;
constexpr std::size_t kAlignment = 64;

// Where the header's text lies, by the fixed bytes before it.
struct HeaderPlace {
  std::size_t begin = 0, end = 0;
};

HeaderPlace find_header(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic))
    fail_npy(name, 0,
             "not a NumPy array: it must begin with \\x93NUMPY, not " +
                 npy_quoted(text.substr(0, std::min(text.size(), kMagic.size()))));
  if (bytes.size() < kLengthAt) fail_npy(name, kVersionAt, "the file ends inside the version");
  const int major = std::to_integer<int>(bytes[kVersionAt]);
  const int minor = std::to_integer<int>(bytes[kVersionAt + 1]);
  if (major < 1 || major > 3 || minor != 0)
    fail_npy(name, kVersionAt,
             fmt::format("format version {}.{} is not known; known: 1.0, 2.0, 3.0", major, minor));
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < kLengthAt + length_bytes)
    fail_npy(name, kLengthAt, "the file ends inside the header's length");
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    length |= std::to_integer<std::size_t>(bytes[kLengthAt + i]) << (8 * i);
  const std::size_t begin = kLengthAt + length_bytes;
  if (length > bytes.size() - begin)
    fail_npy(
        name, kLengthAt,
        fmt::format("the header is said to end at byte {}, but the file ends at byte {}: truncated",
                    begin + length, bytes.size()));
  return {begin, begin + length};
}

template <class T>
std::int64_t widened(const NpyArray& array, std::size_t index, const std::string& name) {
  T value{};
  std::memcpy(&value, array.data.data() + index * sizeof(T), sizeof(T));
  if constexpr (sizeof(T) == 8 && !std::numeric_limits<T>::is_signed) {
    if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max()))
      fail_npy(name, array.data_offset + index * sizeof(T),
               fmt::format("element {} is {}, beyond 2^63 - 1", index, value));
  }
  return static_cast<std::int64_t>(value);
}

template <class T>
std::vector<std::int64_t> all_widened(const NpyArray& array, const std::string& name) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(array.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = widened<T>(array, i, name);
  return values;
}

}  // namespace

bool is_npy_integer(NpyType type) { return type <= NpyType::i64; }

std::int64_t NpyArray::elements() const {
  return static_cast<std::int64_t>(data.size() / npy_size(type));
}

NpyArray read_npy(std::span<const std::byte> bytes, const std::string& name) {
  const HeaderPlace place = find_header(bytes, name);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + place.begin,
                              place.end - place.begin);
  NpyHeader header = read_npy_header(text, place.begin, name);
  NpyArray array;
  array.type = header.type;
  array.shape = std::move(header.shape);
  array.data_offset = place.end;
  auto size = static_cast<std::int64_t>(npy_size(array.type));
  const bool empty = std::find(array.shape.begin(), array.shape.end(), 0) != array.shape.end();
  if (empty) size = 0;
  for (const std::int64_t dimension : array.shape)
    if (!empty && __builtin_mul_overflow(size, dimension, &size))
      fail_npy(name, place.begin, "the shape needs more than 2^63 bytes");
  const std::size_t held = bytes.size() - place.end;
  if (static_cast<std::uint64_t>(size) > held)
    fail_npy(
        name, place.end,
        fmt::format("the shape needs {} bytes of data, the file holds {}: truncated", size, held));
  if (static_cast<std::uint64_t>(size) < held)
    fail_npy(
        name, place.end + static_cast<std::size_t>(size),
        fmt::format("{} bytes follow the array's {}", held - static_cast<std::size_t>(size), size));
  array.data = bytes.subspan(place.end);
  return array;
}

NpyFile::NpyFile(const std::string& path) : file_(path), array_(read_npy(file_.bytes(), path)) {}

std::vector<std::int64_t> npy_integers(const NpyArray& array, const std::string& name) {
  switch (array.type) {
    case NpyType::u8:
      return all_widened<std::uint8_t>(array, name);
    case NpyType::i8:
      return all_widened<std::int8_t>(array, name);
    case NpyType::u16:
      return all_widened<std::uint16_t>(array, name);
    case NpyType::i16:
      return all_widened<std::int16_t>(array, name);
    case NpyType::u32:
      return all_widened<std::uint32_t>(array, name);
    case NpyType::i32:
      return all_widened<std::int32_t>(array, name);
    case NpyType::u64:
      return all_widened<std::uint64_t>(array, name);
    case NpyType::i64:
      return all_widened<std::int64_t>(array, name);
    case NpyType::f16:
    case NpyType::f32:
    case NpyType::f64:
    case NpyType::boolean:
      break;
  }
  throw InputError(fmt::format("{}: the elements are {}, not whole numbers; convert with .astype()",
                               name, to_text(array.type)));
}

std::string npy_content(NpyType type,
                        std::span<const std::int64_t> shape,
                        std::span<const std::byte> data) {
  std::string tuple;
  for (const std::int64_t dimension : shape) tuple += fmt::format("{}, ", dimension);
  if (!tuple.empty()) tuple.resize(tuple.size() - (shape.size() == 1 ? 1 : 2));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   to_text(type), tuple);
  constexpr std::size_t kShortBytes = 2, kLongBytes = 4;
  const bool is_long = header.size() + kAlignment > std::numeric_limits<std::uint16_t>::max();
  const std::size_t before = kLengthAt + (is_long ? kLongBytes : kShortBytes);
  const std::size_t unpadded = before + header.size() + 1;  // the newline
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';
  std::string content(kMagic);
  content += is_long ? '\2' : '\1';
  content += '\0';
  for (std::size_t i = 0; i < before - kLengthAt; ++i)
    content += static_cast<char>(header.size() >> (8 * i));
  content += header;
  content.append(reinterpret_cast<const char*>(data.data()), data.size());
  return content;
}

void write_npy(const std::string& path,
               NpyType type,
               std::span<const std::int64_t> shape,
               std::span<const std::byte> data) {
  write_file(path, npy_content(type, shape, data));
}

}  // namespace moesim
