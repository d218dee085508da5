// A Hugging Face tokenizer.json of a byte-level BPE model: text to token ids and back. The families
// of Qwen, DeepSeek-V3, Llama 3 and gpt-oss, GPT-2 and OLMoE are of this kind. Format: Hugging Face
// tokenizers 0.21, https://github.com/huggingface/tokenizers
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "workloads/tokens/added_tokens.h"
#include "workloads/tokens/byte_pair_model.h"
#include "workloads/tokens/normalizer.h"
#include "workloads/tokens/pre_tokenizer.h"

namespace moesim {

// Read-only once made: threads may share it.
class Tokenizer {
 public:
  // Reads the file's text; `name` stands in messages. InputError, with file, line, column and key,
  // for whatever is malformed, unknown or of another kind (WordPiece, Unigram, Metaspace, ...):
  // nothing the file asks for is ignored, but two keys that change no id of a single text:
  // ByteLevel's trim_offsets and the `pair` template. This is the entry to fuzz, with encode() on
  // what it returns.
  Tokenizer(std::string_view json, const std::string& name);

  enum class SpecialTokens { plain, added };

  // The ids of `text` (UTF-8; `name` stands in messages). Added tokens written in the text are
  // recognised; `added` puts those of the post_processor's template (as a beginning-of-text token)
  // around the ids. InputError: not UTF-8 (with the byte), a byte without a token, a pattern that
  // needs too much work on this text.
  std::vector<std::int32_t> encode(std::string_view text,
                                   const std::string& name,
                                   SpecialTokens special = SpecialTokens::plain) const;

  // The text of the ids, as UTF-8; bytes that form no character become U+FFFD. InputError for an id
  // without a token. `plain` leaves special tokens out.
  std::string decode(std::span<const std::int32_t> ids,
                     SpecialTokens special = SpecialTokens::plain) const;
  // The bytes of one token as they are, to print a text while it is generated: a character may be
  // spread over several tokens.
  std::string token_bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;

  std::int32_t vocabulary() const { return vocabulary_; }           // the largest id + 1
  std::optional<std::int32_t> id_of(std::string_view token) const;  // as the file spells it
  const std::string& name() const { return name_; }

 private:
  struct Spelling {
    std::string bytes;
    bool special = false;
  };
  class Encoding;
  Tokenizer(const JsonNode& top, const std::string& name);
  void add_spelling(std::int32_t id, const std::string& token, bool special);

  std::string name_;
  Normalizer normalizer_;
  BytePairModel model_;
  PreTokenizer pre_tokenizer_;
  AddedTokens added_;
  std::vector<std::int32_t> before_, after_;  // the template's
  std::unordered_map<std::int32_t, Spelling> spellings_;
  std::int32_t vocabulary_ = 0;
};

Tokenizer read_tokenizer_file(const std::string& path);  // InputError as Tokenizer's constructor

}  // namespace moesim
