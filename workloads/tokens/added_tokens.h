// Tokens that are found in the text as they are written, before any cutting: the special tokens of
// chats, and others that were added to a trained vocabulary.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/io/json_reader.h"
#include "workloads/tokens/byte_pair_model.h"
#include "workloads/tokens/normalizer.h"

namespace moesim {

// The `added_tokens` of a tokenizer.json.
class AddedTokens {
 public:
  struct Token {
    std::int32_t id = 0;
    std::string content;
    std::u16string written;               // as it stands in the text it is looked for in
    bool single_word = false;             // only where no letter or digit touches it
    bool lstrip = false, rstrip = false;  // takes the white space on its left, right, with it
    bool normalized = false;              // looked for in normalised text
    bool special = false;                 // left out of decoded text on request
  };
  // InputError: no list, an empty content, a content or id listed twice, an id that the vocabulary
  // gives to another token or a token it gives another id.
  AddedTokens(const JsonNode& list, const BytePairModel& model, const Normalizer& normalizer);
  AddedTokens() = default;

  const std::vector<Token>& tokens() const { return tokens_; }

  // A part of a text: an added token, or text between (id -1).
  struct Part {
    std::u16string_view text;
    std::int32_t id = -1;
  };
  // Cuts text at the tokens that are looked for in normalised (or in untouched) text: from left to
  // right, of those beginning at one place the longest.
  std::vector<Part> cut(std::u16string_view text, bool normalized) const;

 private:
  // The tokens of one kind by their first unit, the longest first.
  struct Index {
    std::bitset<65536> first;
    std::unordered_map<char16_t, std::vector<std::size_t>> starting;
  };
  struct Span {
    std::size_t begin = 0, end = 0;
  };
  void fill(Index& index, bool normalized);
  // What a token found at `at` takes: itself and the white space it strips, but nothing before
  // `done`.
  static Span span_of(const Token& token,
                      std::u16string_view text,
                      std::size_t at,
                      std::size_t done);
  const Token* find_at(const Index& index, std::u16string_view text, std::size_t at) const;
  std::vector<Token> tokens_;
  Index plain_, normalized_;
};

}  // namespace moesim
