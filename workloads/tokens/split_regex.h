// A pattern of a tokenizer.json that cuts text, run by ICU with limits, so that no pattern can hang
// or exhaust the program.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

// What becomes of the matches of a split (Hugging Face tokenizers' SplitDelimiterBehavior): kept as
// pieces of their own; dropped; kept, neighbours joined; joined to the piece before or after.
enum class SplitBehaviour { isolated, removed, contiguous, merged_with_previous, merged_with_next };

enum class PatternKind { text, regex };

// A compiled pattern. Copies share the compiled form; split() changes the matcher's state, so every
// thread works on a copy() of its own.
class SplitRegex {
 public:
  // `pattern` is the JSON string. InputError at it: not a regular expression (with the character),
  // an empty pattern, longer than 64 KiB, a reference back to a group (its work has no bound), or a
  // spelling that ICU takes to mean something else than Oniguruma, for which the pattern was
  // written (\h; a possessive {n}+).
  SplitRegex(const JsonNode& pattern, PatternKind kind);
  SplitRegex(SplitRegex&&) noexcept;
  SplitRegex& operator=(SplitRegex&&) noexcept;
  ~SplitRegex();
  SplitRegex copy() const;

  // Work left, in ICU's steps (10,000 saved states each); one budget serves all patterns of a text.
  struct Budget {
    std::int64_t steps = 0;
  };
  // A budget in proportion to the text: real patterns save fewer than 20 states a character.
  static Budget budget_for(std::size_t characters);

  // Cuts `text` and appends its pieces, none empty, in order; they point into `text`. `invert`:
  // what lies between matches counts as the match. InputError at the pattern when the budget or the
  // stack (64 MiB) is spent.
  void split(std::u16string_view text,
             SplitBehaviour behaviour,
             bool invert,
             Budget& budget,
             std::vector<std::u16string_view>& pieces);

 private:
  struct State;
  explicit SplitRegex(std::unique_ptr<State> state);
  void find_parts(std::u16string_view text, bool invert, Budget& budget);
  std::unique_ptr<State> state_;
};

}  // namespace moesim
