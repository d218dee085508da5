// ICU converts; the byte of a mistake is found by a second walk, made only when there is one.
#include "workloads/tokens/unicode_text.h"

#include <fmt/format.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

#include <cstdint>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr UChar32 kReplacement = 0xFFFD;

// The first byte that begins no well-formed character.
std::size_t malformed_byte(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (next_character(text, at) < 0) return begin;
  }
  return text.size();
}

void check_size(std::string_view text, const std::string& name) {
  if (text.size() > kMaxTextBytes)
    throw InputError(fmt::format("{}: {} bytes of text; at most {} are read, split the file", name,
                                 text.size(), kMaxTextBytes));
}

}  // namespace

// NOLINTNEXTLINE(readability-function-cognitive-complexity): the branches are the macro's
std::int32_t next_character(std::string_view utf8, std::size_t& at) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
  UChar32 character = 0;
  U8_NEXT(bytes, at, utf8.size(), character);
  return character;
}

std::u16string to_utf16(std::string_view text, const std::string& name) {
  check_size(text, name);
  std::u16string out(text.size(), u'\0');  // never longer than the UTF-8 form
  std::int32_t length = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strFromUTF8(out.data(), static_cast<std::int32_t>(out.size()), &length, text.data(),
                static_cast<std::int32_t>(text.size()), &status);
  if (U_FAILURE(status)) {
    const std::size_t byte = malformed_byte(text);
    throw InputError(fmt::format("{}: byte {}: 0x{:02x} is not UTF-8 here", name, byte,
                                 static_cast<unsigned char>(byte < text.size() ? text[byte] : 0)));
  }
  out.resize(static_cast<std::size_t>(length));
  return out;
}

void to_utf8(std::u16string_view text, std::string& out) {
  constexpr std::size_t kBytesPerUnit = 3;
  out.resize(text.size() * kBytesPerUnit);
  std::int32_t length = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strToUTF8WithSub(out.data(), static_cast<std::int32_t>(out.size()), &length, text.data(),
                     static_cast<std::int32_t>(text.size()), kReplacement, nullptr, &status);
  out.resize(static_cast<std::size_t>(length));
}

std::string mended_utf8(std::string_view bytes) {
  check_size(bytes, "text");
  std::u16string wide(bytes.size(), u'\0');
  std::int32_t length = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strFromUTF8WithSub(wide.data(), static_cast<std::int32_t>(wide.size()), &length, bytes.data(),
                       static_cast<std::int32_t>(bytes.size()), kReplacement, nullptr, &status);
  wide.resize(static_cast<std::size_t>(length));
  std::string out;
  to_utf8(wide, out);
  return out;
}

}  // namespace moesim
