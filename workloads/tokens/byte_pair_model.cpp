// The vocabulary and the merges are walked as plain JSON (hundreds of thousands of values); the
// place of a mistake is looked up when there is one.
#include "workloads/tokens/byte_pair_model.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "workloads/tokens/byte_alphabet.h"

namespace moesim {
namespace {

constexpr std::size_t kCachedWords = std::size_t{1} << 17;
constexpr std::size_t kLongestCached = 256;  // bytes; longer words hardly repeat

// What is wrong with a merge; the reader adds its place.
struct MergeMistake {
  std::string reason;
};

void refuse_unless_empty(const JsonNode& model, std::string_view key) {
  const auto found = model.find(key);
  if (found && !found->as_string().empty())
    found->fail("must be empty: byte-level models mark words by their spaces");
}

void check_options(const JsonNode& model) {
  model.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix",
                    "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                    "merges"});
  if (const auto type = model.find("type")) {
    if (type->as_string() != "BPE")
      type->fail(
          fmt::format("model type \"{}\" is not read; only byte-level BPE is", type->as_string()));
  } else if (!model.has("merges")) {
    model.fail("the key \"type\" is missing, and without \"merges\" this is no BPE");
  }
  if (const auto dropout = model.find("dropout"); dropout && dropout->as_number() != 0)
    dropout->fail("must be 0 or null: encoding does not depend on chance");
  if (const auto fallback = model.find("byte_fallback"); fallback && fallback->as_bool())
    fallback->fail("must be false: only byte-level BPE is read, whose tokens are bytes already");
  refuse_unless_empty(model, "continuing_subword_prefix");
  refuse_unless_empty(model, "end_of_word_suffix");
}

using TokenPair = std::pair<std::string_view, std::string_view>;

// The two tokens of a merge; none for the first line of a merges.txt, which some files keep: it is
// no merge and takes no rank.
std::optional<TokenPair> pair_of(const nlohmann::json& merge) {
  if (merge.is_array()) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string())
      throw MergeMistake{"a merge must be two tokens"};
    return TokenPair{merge[0].get_ref<const std::string&>(),
                     merge[1].get_ref<const std::string&>()};
  }
  if (!merge.is_string()) throw MergeMistake{"a merge must be \"a b\" or [\"a\", \"b\"]"};
  const std::string_view text = merge.get_ref<const std::string&>();
  if (text.starts_with("#version")) return std::nullopt;
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    throw MergeMistake{"a merge must be two tokens with one space between"};
  return TokenPair{text.substr(0, space), text.substr(space + 1)};
}

std::string spelled(const std::string& token) { return nlohmann::json(token).dump(); }

}  // namespace

BytePairModel::BytePairModel(const JsonNode& model) {
  check_options(model);
  const auto ignore = model.find("ignore_merges");
  ignore_merges_ = ignore && ignore->as_bool();
  read_vocabulary(model.at("vocab"));
  read_merges(model.at("merges"));
}

void BytePairModel::read_vocabulary(const JsonNode& vocabulary) {
  if (!vocabulary.is_object()) vocabulary.fail("must be an object: {\"token\": id, ...}");
  constexpr std::int64_t kLargestId = std::numeric_limits<std::int32_t>::max() - 1;
  const std::size_t tokens = vocabulary.json().size();
  ids_.reserve(tokens);
  std::unordered_set<std::int32_t> taken;
  taken.reserve(tokens);
  byte_ids_.fill(-1);
  for (const auto& [token, value] : vocabulary.json().items()) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kLargestId)
      vocabulary.at(token).as_int(0, kLargestId);
    const auto id = value.get<std::int32_t>();
    if (!taken.insert(id).second)
      vocabulary.at(token).fail(fmt::format("the id {} belongs to another token already", id));
    ids_.emplace(token, id);
    const std::optional<std::string> bytes = bytes_of_alphabet(token);
    if (!bytes || bytes->empty()) continue;
    if (bytes->size() == 1) byte_ids_[static_cast<unsigned char>(bytes->front())] = id;
    if (ignore_merges_) words_.emplace(*bytes, id);
  }
}

void BytePairModel::read_merges(const JsonNode& merges) {
  if (!merges.is_array()) merges.fail("must be a list of \"a b\" or [\"a\", \"b\"]");
  merges_.reserve(merges.json().size());
  std::int32_t rank = 0;
  std::size_t index = 0;
  try {
    for (const nlohmann::json& merge : merges.json()) {
      if (const auto pair = pair_of(merge)) add_merge(pair->first, pair->second, rank++);
      ++index;
    }
  } catch (const MergeMistake& mistake) {
    merges.items()[index].fail(mistake.reason);
  }
}

void BytePairModel::add_merge(std::string_view left, std::string_view right, std::int32_t rank) {
  const auto need = [this](const std::string& token) {
    const std::optional<std::int32_t> id = id_of(token);
    if (!id) throw MergeMistake{spelled(token) + " is not in the vocabulary"};
    return *id;
  };
  const std::int32_t left_id = need(std::string(left)), right_id = need(std::string(right));
  const std::int32_t id = need(std::string(left) + std::string(right));
  const std::uint64_t key = static_cast<std::uint64_t>(left_id) << 32U |
                            static_cast<std::uint64_t>(static_cast<std::uint32_t>(right_id));
  merges_[key] = {rank, id};  // of a pair listed twice the last counts, as in Hugging Face's reader
}

std::optional<std::int32_t> BytePairModel::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const BytePairModel::Merge* BytePairModel::merge_of(std::int32_t left, std::int32_t right) const {
  const std::uint64_t key = static_cast<std::uint64_t>(left) << 32U |
                            static_cast<std::uint64_t>(static_cast<std::uint32_t>(right));
  const auto found = merges_.find(key);
  return found == merges_.end() ? nullptr : &found->second;
}

const std::vector<std::int32_t>* BytePairModel::Cache::find(std::string_view word) const {
  const auto found = words_.find(word);
  return found == words_.end() ? nullptr : &found->second;
}

void BytePairModel::Cache::keep(std::string_view word, std::vector<std::int32_t> ids) {
  if (words_.size() >= kCachedWords) words_.clear();
  words_.emplace(word, std::move(ids));
}

void BytePairModel::encode(std::string_view word,
                           const std::string& name,
                           Cache& cache,
                           std::vector<std::int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto whole = words_.find(word); whole != words_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  const bool cached = word.size() <= kLongestCached;
  const std::vector<std::int32_t>* known = cached ? cache.find(word) : nullptr;
  if (known != nullptr) {
    ids.insert(ids.end(), known->begin(), known->end());
    return;
  }
  std::vector<std::int32_t> symbols;
  symbols.reserve(word.size());
  for (const char letter : word) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte_ids_[byte] < 0)
      throw InputError(
          fmt::format("{}: the tokenizer has no token for the byte 0x{:02x} ({} in its vocabulary)",
                      name, byte, spelled(alphabet_of_byte(byte))));
    symbols.push_back(byte_ids_[byte]);
  }
  join_pairs(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
  if (cached) cache.keep(word, std::move(symbols));
}

}  // namespace moesim
