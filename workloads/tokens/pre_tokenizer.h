// How a tokenizer cuts text into words before byte pairs are merged inside each.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/tokens/split_regex.h"

namespace moesim {

// The `pre_tokenizer` of a tokenizer.json for byte-level models: ByteLevel, or a Sequence of Split
// (pattern: Regex or String; every behaviour; invert), Digits and, as its last member, ByteLevel
// (add_prefix_space and use_regex, which cuts by GPT-2's pattern). Pieces stay text here; turning
// them into bytes is the model's part.
class PreTokenizer {
 public:
  // InputError: a type not listed (named, with the choices), ByteLevel missing or not last, a
  // pattern that SplitRegex refuses.
  explicit PreTokenizer(const JsonNode& node);

  // One thread's working copy.
  class Worker {
   public:
    explicit Worker(const PreTokenizer& owner);
    // Cuts `text` into words, in order. The views point into `text` or into this worker and hold
    // until the next call. InputError as SplitRegex::split.
    const std::vector<std::u16string_view>& cut(std::u16string_view text,
                                                SplitRegex::Budget& budget);

   private:
    void add_prefix_spaces();
    const PreTokenizer& owner_;
    std::vector<SplitRegex> regexes_;
    std::vector<std::u16string_view> words_, next_;
    std::deque<std::u16string> prefixed_;
  };

 private:
  struct Step {
    SplitBehaviour behaviour = SplitBehaviour::isolated;
    bool invert = false;
    bool after_prefix = false;  // a space is put before every piece that lacks one
    SplitRegex regex;
  };
  void add(const JsonNode& node, bool last);
  void add_split(const JsonNode& node);
  void add_digits(const JsonNode& node);
  void add_byte_level(const JsonNode& node);

  std::vector<Step> steps_;
  bool prefix_at_end_ = false;  // ByteLevel without its pattern, but with add_prefix_space
};

}  // namespace moesim
