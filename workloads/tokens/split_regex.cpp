// ICU's regular expressions behind a small face. Hugging Face runs these patterns with Oniguruma in
// its Ruby syntax, whose ^ and $ hold at every line and whose lines end in \n alone; ICU's flags
// below say the same.
#include "workloads/tokens/split_regex.h"

#include <fmt/format.h>
#include <unicode/uregex.h>
#include <unicode/ustring.h>

#include <utility>

#include "workloads/tokens/unicode_text.h"

namespace moesim {
namespace {

constexpr std::size_t kMaxPattern = std::size_t{64} << 10;
constexpr std::int32_t kMaxStack = 64 << 20;  // bytes

struct Closer {
  void operator()(URegularExpression* regex) const { uregex_close(regex); }
};

// A part of a text: a match, or what lies between two.
struct Part {
  std::size_t begin = 0, end = 0;
  bool match = false;
};

// Whether two neighbours, matches or not, are one piece.
bool are_joined(bool match, bool next_match, SplitBehaviour behaviour) {
  if (behaviour == SplitBehaviour::contiguous) return match == next_match;
  if (behaviour == SplitBehaviour::merged_with_previous) return !match && next_match;
  return behaviour == SplitBehaviour::merged_with_next && match && !next_match;
}

// ICU calls this at every step; false stops the match.
UBool take_step(const void* context, std::int32_t /*steps*/) {
  auto* budget = static_cast<SplitRegex::Budget*>(const_cast<void*>(context));
  return static_cast<UBool>(--budget->steps > 0);
}

// "{2,3}+": Oniguruma's Ruby syntax repeats it, ICU makes it possessive.
bool is_possessive_count(std::string_view pattern, std::size_t brace) {
  const std::size_t end = pattern.find_first_not_of("0123456789,", brace + 1);
  return end != std::string_view::npos && end > brace + 1 && pattern.substr(end).starts_with("}+");
}

void check_dialect(std::string_view pattern, const JsonNode& node) {
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '{' && is_possessive_count(pattern, at))
      node.fail("a possessive count ({n}+) is not supported; write (?:...{n})+ or ...{n}");
    if (pattern[at] != '\\' || at + 1 == pattern.size()) continue;
    ++at;
    if (pattern[at] == 'h' || pattern[at] == 'H')
      node.fail("\\h is not supported; write [0-9a-fA-F]");
    if (pattern[at] == 'k' || (pattern[at] >= '1' && pattern[at] <= '9'))
      node.fail("a reference back to a group is not supported: its work has no bound");
  }
}

}  // namespace

struct SplitRegex::State {
  std::unique_ptr<URegularExpression, Closer> regex;
  JsonNode pattern;
  std::vector<Part> parts;  // of the text at work, kept to save allocations
};

SplitRegex::SplitRegex(std::unique_ptr<State> state) : state_(std::move(state)) {}
SplitRegex::SplitRegex(SplitRegex&&) noexcept = default;
SplitRegex& SplitRegex::operator=(SplitRegex&&) noexcept = default;
SplitRegex::~SplitRegex() = default;

SplitRegex::SplitRegex(const JsonNode& pattern, PatternKind kind) {
  const std::string text = pattern.as_string();
  if (text.empty()) pattern.fail("the pattern is empty");
  if (text.size() > kMaxPattern)
    pattern.fail(
        fmt::format("a pattern of {} bytes; at most {} are allowed", text.size(), kMaxPattern));
  if (kind == PatternKind::regex) check_dialect(text, pattern);
  const std::u16string wide = to_utf16(text, "pattern");
  const std::uint32_t flags =
      kind == PatternKind::text ? static_cast<std::uint32_t>(UREGEX_LITERAL)
                                : static_cast<std::uint32_t>(UREGEX_MULTILINE | UREGEX_UNIX_LINES);
  UParseError place{};
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<URegularExpression, Closer> regex(
      uregex_open(wide.data(), static_cast<std::int32_t>(wide.size()), flags, &place, &status));
  if (U_FAILURE(status))
    pattern.fail(fmt::format("not a regular expression: {} at character {}", u_errorName(status),
                             place.offset));
  uregex_setStackLimit(regex.get(), kMaxStack, &status);
  state_ = std::make_unique<State>(State{std::move(regex), pattern, {}});
}

SplitRegex SplitRegex::copy() const {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<URegularExpression, Closer> regex(uregex_clone(state_->regex.get(), &status));
  uregex_setStackLimit(regex.get(), kMaxStack, &status);
  if (U_FAILURE(status)) throw MachineError("no memory for a regular expression");
  return SplitRegex(std::make_unique<State>(State{std::move(regex), state_->pattern, {}}));
}

SplitRegex::Budget SplitRegex::budget_for(std::size_t characters) {
  constexpr std::int64_t kAtLeast = 500, kCharactersPerStep = 50;  // 200 states a character
  return {kAtLeast + static_cast<std::int64_t>(characters) / kCharactersPerStep};
}

void SplitRegex::find_parts(std::u16string_view text, bool invert, Budget& budget) {
  std::vector<Part>& parts = state_->parts;
  parts.clear();
  URegularExpression* regex = state_->regex.get();
  UErrorCode status = U_ZERO_ERROR;
  uregex_setMatchCallback(regex, take_step, &budget, &status);
  uregex_setText(regex, text.data(), static_cast<std::int32_t>(text.size()), &status);
  std::size_t at = 0;
  while (uregex_findNext(regex, &status) != 0 && U_SUCCESS(status)) {
    const auto begin = static_cast<std::size_t>(uregex_start(regex, 0, &status));
    const auto end = static_cast<std::size_t>(uregex_end(regex, 0, &status));
    if (begin > at) parts.push_back({at, begin, invert});
    parts.push_back({begin, end, !invert});
    at = end;
  }
  if (U_FAILURE(status))
    state_->pattern.fail(
        fmt::format("the pattern needs too much work on this text ({})", u_errorName(status)));
  if (at < text.size()) parts.push_back({at, text.size(), invert});
}

void SplitRegex::split(std::u16string_view text,
                       SplitBehaviour behaviour,
                       bool invert,
                       Budget& budget,
                       std::vector<std::u16string_view>& pieces) {
  find_parts(text, invert, budget);
  const std::vector<Part>& parts = state_->parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part first = parts[i];
    if (first.match && behaviour == SplitBehaviour::removed) continue;
    while (i + 1 < parts.size() && are_joined(parts[i].match, parts[i + 1].match, behaviour)) ++i;
    if (parts[i].end > first.begin)
      pieces.push_back(text.substr(first.begin, parts[i].end - first.begin));
  }
}

}  // namespace moesim
