// The stages in their order: added tokens in the text as it is, normaliser, added tokens in what
// comes of it, cutting into words, merging. What the file holds is read part by part, each part by
// its own reader.
#include "workloads/tokens/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/io/files.h"
#include "workloads/tokens/byte_alphabet.h"
#include "workloads/tokens/template.h"
#include "workloads/tokens/unicode_text.h"

namespace moesim {
namespace {

// The file's outermost level, checked; the parts are read from it.
JsonNode read_top(std::string_view json, const std::string& name) {
  JsonNode top = read_json_text(json, name);
  if (!top.is_object()) top.fail("a tokenizer.json is an object");
  top.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                  "post_processor", "decoder", "model"});
  if (const auto version = top.find("version"); version && version->as_string() != "1.0")
    version->fail(fmt::format("version \"{}\" is not known; known: \"1.0\"", version->as_string()));
  for (const char* key : {"truncation", "padding"})
    if (const auto set = top.find(key))
      set->fail(fmt::format("{} is not supported: texts are encoded whole; set it to null", key));
  if (const auto decoder = top.find("decoder")) check_decoder(*decoder);
  return top;
}

Normalizer read_normalizer(const JsonNode& top) {
  const auto node = top.find("normalizer");
  return node ? Normalizer(*node) : Normalizer();
}

AddedTokens read_added(const JsonNode& top,
                       const BytePairModel& model,
                       const Normalizer& normalizer) {
  const auto node = top.find("added_tokens");
  return node ? AddedTokens(*node, model, normalizer) : AddedTokens();
}

}  // namespace

Tokenizer::Tokenizer(std::string_view json, const std::string& name)
    : Tokenizer(read_top(json, name), name) {}

Tokenizer::Tokenizer(const JsonNode& top, const std::string& name)
    : name_(name),
      normalizer_(read_normalizer(top)),
      model_(top.at("model")),
      pre_tokenizer_(top.at("pre_tokenizer")),
      added_(read_added(top, model_, normalizer_)) {
  for (const auto& entry : model_.vocabulary()) add_spelling(entry.second, entry.first, false);
  for (const AddedTokens::Token& token : added_.tokens())
    add_spelling(token.id, token.content, token.special);
  if (const auto processor = top.find("post_processor")) {
    const TemplateIds ids = read_template(*processor);
    before_ = ids.before;
    after_ = ids.after;
  }
  for (const std::vector<std::int32_t>* ids : {&before_, &after_})
    for (const std::int32_t id : *ids)
      if (!spellings_.contains(id))
        top.at("post_processor").fail(fmt::format("its token {} is not in the vocabulary", id));
}

void Tokenizer::add_spelling(std::int32_t id, const std::string& token, bool special) {
  // A token with characters outside the alphabet stands for its text (tokenizers, byte_level.rs).
  spellings_[id] = {bytes_of_alphabet(token).value_or(token), special};
  vocabulary_ = std::max(vocabulary_, id + 1);
}

// One text on its way to ids, with all that is used again from word to word.
class Tokenizer::Encoding {
 public:
  Encoding(const Tokenizer& owner, const std::string& name, std::size_t characters)
      : owner_(owner),
        name_(name),
        worker_(owner.pre_tokenizer_),
        budget_(SplitRegex::budget_for(characters)) {}

  void add(std::u16string_view text, std::vector<std::int32_t>& ids) {
    for (const AddedTokens::Part& part : owner_.added_.cut(text, false)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else if (owner_.normalizer_.changes_nothing()) {
        add_normalized(part.text, ids);
      } else {
        add_normalized(owner_.normalizer_.apply(part.text), ids);
      }
    }
  }

 private:
  void add_normalized(std::u16string_view text, std::vector<std::int32_t>& ids) {
    for (const AddedTokens::Part& part : owner_.added_.cut(text, true)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      for (const std::u16string_view word : worker_.cut(part.text, budget_)) {
        to_utf8(word, bytes_);
        owner_.model_.encode(bytes_, name_, cache_, ids);
      }
    }
  }

  const Tokenizer& owner_;
  const std::string& name_;
  PreTokenizer::Worker worker_;
  SplitRegex::Budget budget_;
  BytePairModel::Cache cache_;
  std::string bytes_;
};

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            const std::string& name,
                                            SpecialTokens special) const {
  const std::u16string wide = to_utf16(text, name);
  std::vector<std::int32_t> ids;
  if (special == SpecialTokens::added) ids = before_;
  Encoding(*this, name, wide.size()).add(wide, ids);
  if (special == SpecialTokens::added) ids.insert(ids.end(), after_.begin(), after_.end());
  return ids;
}

std::string Tokenizer::token_bytes(std::int32_t id) const {
  const auto found = spellings_.find(id);
  if (found == spellings_.end())
    throw InputError(
        fmt::format("{}: no token has the id {}; ids end at {}", name_, id, vocabulary_ - 1));
  return found->second.bytes;
}

bool Tokenizer::is_special(std::int32_t id) const {
  const auto found = spellings_.find(id);
  return found != spellings_.end() && found->second.special;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, SpecialTokens special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    const std::string token = token_bytes(id);
    if (special == SpecialTokens::added || !is_special(id)) bytes += token;
  }
  return mended_utf8(bytes);
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  for (const AddedTokens::Token& added : added_.tokens())
    if (added.content == token) return added.id;
  return model_.id_of(token);
}

Tokenizer read_tokenizer_file(const std::string& path) { return {read_text_file(path), path}; }

}  // namespace moesim
