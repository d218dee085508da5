// The alphabet as two tables, made once from its rule.
#include "workloads/tokens/byte_alphabet.h"

#include <unicode/utf8.h>

#include <array>

#include "workloads/tokens/unicode_text.h"

namespace moesim {
namespace {

constexpr std::int32_t kBytes = 256;
constexpr std::int32_t kOthers = 68;  // 0-32, 127-160 and 173

struct Tables {
  std::array<std::int32_t, kBytes> character{};
  std::array<std::int16_t, kBytes + kOthers> byte{};
};

constexpr bool stands_for_itself(std::int32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Tables make_tables() {
  Tables tables;
  for (std::int16_t& byte : tables.byte) byte = -1;
  std::int32_t next = kBytes;
  for (std::int32_t byte = 0; byte < kBytes; ++byte) {
    const std::int32_t character = stands_for_itself(byte) ? byte : next++;
    tables.character[static_cast<std::size_t>(byte)] = character;
    tables.byte[static_cast<std::size_t>(character)] = static_cast<std::int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

std::optional<std::string> bytes_of_alphabet(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  for (std::size_t at = 0; at < utf8.size();) {
    const std::int32_t character = next_character(utf8, at);
    if (character < 0 || character >= kBytes + kOthers) return std::nullopt;
    const std::int16_t byte = kTables.byte[static_cast<std::size_t>(character)];
    if (byte < 0) return std::nullopt;
    out += static_cast<char>(byte);
  }
  return out;
}

std::string alphabet_of_byte(std::uint8_t byte) {
  std::array<std::uint8_t, U8_MAX_LENGTH> buffer{};
  std::size_t length = 0;
  U8_APPEND_UNSAFE(buffer, length, kTables.character[byte]);
  return {reinterpret_cast<const char*>(buffer.data()), length};
}

}  // namespace moesim
