// Texts between UTF-8, as files hold them, and UTF-16, which ICU works on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace moesim {

// ICU counts in 32 bits; a text may be at most this many bytes long.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

// InputError, naming `name` and the byte, where the text is not UTF-8 or longer than kMaxTextBytes.
std::u16string to_utf16(std::string_view text, const std::string& name);

// The character that begins at `at`, which moves behind it; -1 where none does, `at` then moves
// behind the malformed part.
std::int32_t next_character(std::string_view utf8, std::size_t& at);

// Replaces `out` by the UTF-8 form of well-formed UTF-16; a lone surrogate becomes U+FFFD.
void to_utf8(std::u16string_view text, std::string& out);

// The bytes with every malformed part replaced by U+FFFD, one for each maximal part (the practice
// Unicode 15, section 3.9 recommends).
std::string mended_utf8(std::string_view bytes);

}  // namespace moesim
