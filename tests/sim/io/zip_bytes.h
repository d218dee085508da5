// A zip archive written by hand from the format's definition (APPNOTE.TXT 4.3), stored members
// only, so that tests can put any value into any field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace moesim::test {

inline std::string little_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xFFU);
  return text;
}

inline std::uint32_t crc32_of(const std::string& data) {
  std::uint32_t crc = ~0U;
  for (const char letter : data) {
    crc ^= static_cast<unsigned char>(letter);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

// One member; the fields default to those of a sound stored one.
struct ZipPart {
  ZipPart(std::string member_name, std::string content)
      : name(std::move(member_name)), data(std::move(content)) {
    crc = crc32_of(data);
    bytes = data.size();
  }
  std::string name, data;
  std::uint32_t crc = 0;
  std::uint64_t bytes = 0;  // unpacked, as declared
  unsigned flags = 0, method = 0;
};

inline std::string zip_of(const std::vector<ZipPart>& parts) {
  std::string file;
  std::string directory;
  for (const ZipPart& part : parts) {
    const std::string common = little_endian(20, 2) + little_endian(part.flags, 2) +
                               little_endian(part.method, 2) + little_endian(0, 2) +
                               little_endian(0x21, 2) + little_endian(part.crc, 4) +
                               little_endian(part.data.size(), 4) + little_endian(part.bytes, 4) +
                               little_endian(part.name.size(), 2) + little_endian(0, 2);
    directory += std::string("PK\x01\x02") + little_endian(20, 2) + common + little_endian(0, 2) +
                 little_endian(0, 4) + little_endian(0, 4) + little_endian(file.size(), 4) +
                 part.name;
    file += std::string("PK\x03\x04") + common + part.name + part.data;
  }
  const std::string end = std::string("PK\x05\x06") + little_endian(0, 4) +
                          little_endian(parts.size(), 2) + little_endian(parts.size(), 2) +
                          little_endian(directory.size(), 4) + little_endian(file.size(), 4) +
                          little_endian(0, 2);
  return file + directory + end;
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

}  // namespace moesim::test
