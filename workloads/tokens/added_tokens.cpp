// Leftmost-longest matching of a short list; facts: Hugging Face tokenizers 0.21,
// tokenizer/added_vocabulary.rs.
#include "workloads/tokens/added_tokens.h"

#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "workloads/tokens/unicode_text.h"

namespace moesim {
namespace {

bool is_space(char16_t unit) { return u_isUWhiteSpace(unit) != 0; }  // all lie in the first plane

// A letter, mark, digit, connector or joiner: what regular expressions call \w (UTS 18, annex C).
bool is_word(UChar32 letter) {
  const std::uint32_t mask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(letter, UCHAR_ALPHABETIC) != 0 ||
         (U_GET_GC_MASK(letter) & mask) != 0 ||
         u_hasBinaryProperty(letter, UCHAR_JOIN_CONTROL) != 0;
}

bool word_before(std::u16string_view text, std::size_t at) {
  if (at == 0) return false;
  UChar32 letter = 0;
  U16_PREV(text, std::size_t{0}, at, letter);
  return is_word(letter);
}

bool word_after(std::u16string_view text, std::size_t at) {
  if (at == text.size()) return false;
  UChar32 letter = 0;
  U16_NEXT(text, at, text.size(), letter);
  return is_word(letter);
}

bool flag(const JsonNode& node, std::string_view key, bool otherwise) {
  const auto found = node.find(key);
  return found ? found->as_bool() : otherwise;
}

AddedTokens::Token read_token(const JsonNode& node) {
  node.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedTokens::Token token;
  token.id = static_cast<std::int32_t>(
      node.at("id").as_int(0, std::numeric_limits<std::int32_t>::max() - 1));
  token.content = node.at("content").as_string();
  if (token.content.empty()) node.at("content").fail("an added token must not be empty");
  token.single_word = flag(node, "single_word", false);
  token.lstrip = flag(node, "lstrip", false);
  token.rstrip = flag(node, "rstrip", false);
  token.special = flag(node, "special", false);
  token.normalized = flag(node, "normalized", !token.special);
  return token;
}

}  // namespace

AddedTokens::AddedTokens(const JsonNode& list,
                         const BytePairModel& model,
                         const Normalizer& normalizer) {
  std::unordered_set<std::int32_t> ids;
  ids.reserve(model.vocabulary().size());
  for (const auto& entry : model.vocabulary()) ids.insert(entry.second);
  std::unordered_set<std::string> contents;
  const std::vector<JsonNode> nodes = list.items();
  tokens_.reserve(nodes.size());
  for (const JsonNode& node : nodes) {
    Token token = read_token(node);
    if (!contents.insert(token.content).second)
      node.at("content").fail("this token is listed twice");
    const std::optional<std::int32_t> known = model.id_of(token.content);
    if (known && *known != token.id)
      node.at("id").fail(fmt::format("the vocabulary gives {} the id {}", token.content, *known));
    if (!ids.insert(token.id).second && !known)
      node.at("id").fail(fmt::format("the id {} belongs to another token already", token.id));
    token.written = to_utf16(token.content, "added token");
    if (token.normalized) token.written = normalizer.apply(token.written);
    tokens_.push_back(std::move(token));
  }
  fill(plain_, false);
  fill(normalized_, true);
}

void AddedTokens::fill(Index& index, bool normalized) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const std::u16string& written = tokens_[i].written;
    // A token that is normalised away is found nowhere.
    if (written.empty() || tokens_[i].normalized != normalized) continue;
    index.first.set(written.front());
    index.starting[written.front()].push_back(i);
  }
  for (auto& entry : index.starting)
    std::stable_sort(entry.second.begin(), entry.second.end(), [&](std::size_t a, std::size_t b) {
      return tokens_[a].written.size() > tokens_[b].written.size();
    });
}

const AddedTokens::Token* AddedTokens::find_at(const Index& index,
                                               std::u16string_view text,
                                               std::size_t at) const {
  if (!index.first.test(text[at])) return nullptr;
  for (const std::size_t i : index.starting.at(text[at]))
    if (text.substr(at).starts_with(tokens_[i].written)) return &tokens_[i];
  return nullptr;
}

AddedTokens::Span AddedTokens::span_of(const Token& token,
                                       std::u16string_view text,
                                       std::size_t at,
                                       std::size_t done) {
  Span span{at, at + token.written.size()};
  while (token.lstrip && span.begin > done && is_space(text[span.begin - 1])) --span.begin;
  while (token.rstrip && span.end < text.size() && is_space(text[span.end])) ++span.end;
  return span;
}

std::vector<AddedTokens::Part> AddedTokens::cut(std::u16string_view text, bool normalized) const {
  const Index& index = normalized ? normalized_ : plain_;
  std::vector<Part> parts;
  std::size_t done = 0;  // all before is in parts
  for (std::size_t at = 0; at < text.size();) {
    const Token* token = find_at(index, text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    const std::size_t end = at + token->written.size();
    if (token->single_word && (word_before(text, at) || word_after(text, end))) {
      at = end;
      continue;
    }
    const Span span = span_of(*token, text, at, done);
    if (span.begin > done) parts.push_back({text.substr(done, span.begin - done), -1});
    parts.push_back({text.substr(span.begin, span.end - span.begin), token->id});
    done = at = span.end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), -1});
  return parts;
}

}  // namespace moesim
