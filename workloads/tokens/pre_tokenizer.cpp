// Each step cuts the pieces of the step before. Facts of the steps: Hugging Face tokenizers 0.21,
// pre_tokenizers/{split,digits,byte_level,sequence}.rs.
#include "workloads/tokens/pre_tokenizer.h"

#include <utility>

namespace moesim {
namespace {

// GPT-2's cut: contractions, letters, numbers and the rest, each with a space before it, and white
// space except the space that goes with the next word. Source: encoder.py of openai/gpt-2.
constexpr const char* kGpt2Pattern =
    R"("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+")";

JsonNode gpt2_pattern() { return read_json_text(kGpt2Pattern, "GPT-2's pattern"); }

bool read_flag(const JsonNode& node, std::string_view key, bool otherwise) {
  const auto found = node.find(key);
  return found ? found->as_bool() : otherwise;
}

SplitBehaviour read_behaviour(const JsonNode& node) {
  const std::vector<std::string> names{"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                       "MergedWithNext"};
  const std::string name = node.as_choice(names, "behavior");
  if (name == "Isolated") return SplitBehaviour::isolated;
  if (name == "Removed") return SplitBehaviour::removed;
  if (name == "Contiguous") return SplitBehaviour::contiguous;
  if (name == "MergedWithPrevious") return SplitBehaviour::merged_with_previous;
  return SplitBehaviour::merged_with_next;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonNode& node) { add(node, true); }

void PreTokenizer::add(const JsonNode& node, bool last) {
  const JsonNode type_node = node.at("type");
  const std::string type =
      type_node.as_choice({"ByteLevel", "Digits", "Sequence", "Split"}, "pre-tokenizer");
  if ((type == "ByteLevel") != last && type != "Sequence")
    type_node.fail(last
                       ? "the last pre-tokenizer must be ByteLevel: only byte-level models are read"
                       : "ByteLevel must be the last pre-tokenizer");
  if (type == "Split") add_split(node);
  if (type == "Digits") add_digits(node);
  if (type == "ByteLevel") add_byte_level(node);
  if (type != "Sequence") return;
  node.allow_only({"type", "pretokenizers"});
  const std::vector<JsonNode> members = node.at("pretokenizers").items();
  if (members.empty() && last) node.fail("an empty Sequence; its last member must be ByteLevel");
  for (std::size_t i = 0; i < members.size(); ++i) add(members[i], last && i + 1 == members.size());
}

void PreTokenizer::add_split(const JsonNode& node) {
  node.allow_only({"type", "pattern", "behavior", "invert"});
  const JsonNode pattern = node.at("pattern");
  pattern.allow_only({"Regex", "String"});
  const bool literal = pattern.has("String");
  if (literal == pattern.has("Regex")) pattern.fail("must hold one of Regex and String");
  steps_.push_back({read_behaviour(node.at("behavior")), read_flag(node, "invert", false), false,
                    SplitRegex(pattern.at(literal ? "String" : "Regex"),
                               literal ? PatternKind::text : PatternKind::regex)});
}

void PreTokenizer::add_digits(const JsonNode& node) {
  node.allow_only({"type", "individual_digits"});
  const bool individual = read_flag(node, "individual_digits", false);
  steps_.push_back({individual ? SplitBehaviour::isolated : SplitBehaviour::contiguous, false,
                    false,
                    SplitRegex(read_json_text(R"("\\p{N}")", "Digits"), PatternKind::regex)});
}

void PreTokenizer::add_byte_level(const JsonNode& node) {
  node.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  const bool prefix = read_flag(node, "add_prefix_space", true);
  if (read_flag(node, "use_regex", true)) {
    steps_.push_back(
        {SplitBehaviour::isolated, false, prefix, SplitRegex(gpt2_pattern(), PatternKind::regex)});
  } else {
    prefix_at_end_ = prefix;
  }
}

PreTokenizer::Worker::Worker(const PreTokenizer& owner) : owner_(owner) {
  regexes_.reserve(owner.steps_.size());
  for (const Step& step : owner.steps_) regexes_.push_back(step.regex.copy());
}

void PreTokenizer::Worker::add_prefix_spaces() {
  for (std::u16string_view& word : words_) {
    if (word.starts_with(u' ')) continue;
    prefixed_.push_back(u" " + std::u16string(word));
    word = prefixed_.back();
  }
}

const std::vector<std::u16string_view>& PreTokenizer::Worker::cut(std::u16string_view text,
                                                                  SplitRegex::Budget& budget) {
  words_.clear();
  prefixed_.clear();
  if (!text.empty()) words_.push_back(text);
  for (std::size_t i = 0; i < regexes_.size(); ++i) {
    const Step& step = owner_.steps_[i];
    if (step.after_prefix) add_prefix_spaces();
    next_.clear();
    for (const std::u16string_view word : words_)
      regexes_[i].split(word, step.behaviour, step.invert, budget, next_);
    words_.swap(next_);
  }
  if (owner_.prefix_at_end_) add_prefix_spaces();
  return words_;
}

}  // namespace moesim
