// GPT-2's alphabet: one printable character for each of the 256 bytes, so that vocabularies of byte
// strings can be written as text. The printable characters of Latin-1 stand for themselves, the
// other 68 bytes are U+0100, U+0101, ... in their order (a space is U+0120).
// Source: bytes_to_unicode in https://github.com/openai/gpt-2/blob/master/src/encoder.py
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moesim {

// The bytes that a vocabulary's text stands for; nothing if a character is not of the alphabet.
std::optional<std::string> bytes_of_alphabet(std::string_view utf8);

// The character of one byte, as UTF-8.
std::string alphabet_of_byte(std::uint8_t byte);

}  // namespace moesim
