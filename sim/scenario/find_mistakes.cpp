// Loading, mending, loading again; twice, with different mends, to tell mistakes from consequences.
#include "sim/scenario/find_mistakes.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "sim/io/json_mend.h"
#include "sim/scenario/load_search.h"
#include "sim/scenario/load_training.h"
#include "sim/scenario/schema.h"
#include "sim/scenario/schema_match.h"
#include "sim/scenario/study_reader.h"
#include "sim/scenario/valid_values.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr std::size_t kMostMistakes = 100;
constexpr std::size_t kMostMends = 4;  // of one value
constexpr std::size_t kMostMendsOfAll = 200;

bool is_training(const JsonNode& root) {
  const json::json_pointer phase("/workload/phase");
  return root.json().contains(phase) && root.json().at(phase) == "training";
}

// Nothing for a training scenario, which spans no study.
std::optional<Study> load_all(const std::string& path, const JsonNode& root) {
  if (is_training(root)) {
    load_training(root, path);
    return std::nullopt;
  }
  Study study = load_study(path, root);
  if (root.has("search")) load_search(root);
  return study;
}

std::string parent_of(const std::string& pointer) { return pointer.substr(0, pointer.rfind('/')); }

bool is_within(const std::string& pointer, const std::string& parent) {
  return pointer == parent || pointer.starts_with(parent + "/");
}

struct Mistake {
  InputError error;
  bool by_itself;  // no other value of the file could make it right
};

// Likely values first, so that little else goes wrong; or unlikely ones first, so that what depends
// on them changes.
enum class Mends { likely, unlikely };

// What becomes of a wrong value, one after another while it stays wrong; nullopt: it goes.
struct Candidates {
  std::vector<std::optional<json>> values;
  std::size_t next = 0;
  bool keeps_parts = false;  // the last one tried has parts of the value in it
};

class MistakeFinder {
 public:
  MistakeFinder(const std::string& path, JsonNode root, const SchemaNode& schema, Mends mends)
      : path_(path), root_(std::move(root)), schema_(schema), mends_(mends) {}

  // `first`: what loading the file as it is has thrown.
  std::vector<Mistake> find(const InputError& first) {
    std::vector<Mistake> found;
    std::optional<InputError> error = first;
    for (std::size_t mends = 0; error && mends < kMostMendsOfAll; ++mends) {
      if (found.size() == kMostMistakes) break;
      const std::string target = pointer_at(root_, error->where());
      if (!is_consequence(target)) found.push_back({*error, is_by_itself(*error, target)});
      if (target.empty() || !mend(*error, target)) break;
      error = load();
    }
    return found;
  }

 private:
  std::optional<InputError> load() const {
    try {
      load_all(path_, root_);
    } catch (const InputError& error) {
      return error;
    }
    return std::nullopt;
  }

  const json* value_at(const std::string& pointer) const {
    const json::json_pointer at(pointer);
    return root_.json().contains(at) ? &root_.json().at(at) : nullptr;
  }

  // In a value that is a mend, or at the object whose part is one.
  bool is_consequence(const std::string& target) const {
    return std::any_of(mended_.begin(), mended_.end(), [&](const auto& mended) {
      if (mended.second.keeps_parts) return mended.first == target;
      return is_within(target, mended.first) || parent_of(mended.first) == target;
    });
  }

  bool is_unknown_key(const std::string& target) const {
    const SchemaNode* const parent = schema_.at(parent_of(target));
    return !target.empty() && parent != nullptr && parent->is_object &&
           value_at(target) != nullptr &&
           !parent->properties.contains(json::json_pointer(target).back());
  }

  bool is_by_itself(const InputError& error, const std::string& target) const {
    if (target.empty() || is_unknown_key(target)) return true;
    const json* const value = value_at(target);
    if (value == nullptr) return true;  // it is missing
    const SchemaNode* const node = schema_.at(error.where().pointer);
    return node != nullptr && !matches_outside(*node, *value);
  }

  bool mend(const InputError& error, const std::string& target) {
    if (is_unknown_key(target)) {
      mend_name(target);
      return true;
    }
    if (!mended_.contains(target))
      mended_.emplace(target, candidates(error.where().pointer, target));
    Candidates& mine = mended_.at(target);
    if (mine.next >= mine.values.size()) return give_up(target);
    const std::optional<json> value = mine.values[mine.next++];
    mine.keeps_parts = value && is_part_of(*value, value_at(target));
    if (mine.keeps_parts)
      drop_others(target, *value);
    else if (value)
      root_ = replaced(root_, target, *value);
    else if (value_at(target) != nullptr)
      root_ = without(root_, target);
    return true;
  }

  // No value that was tried is right: the rest of the file is read without it, or without what
  // holds it. An element of a list stays: without it the others would be taken for it.
  bool give_up(const std::string& target) {
    for (std::string at = target; !at.empty(); at = parent_of(at)) {
      const json* const holder = value_at(parent_of(at));
      if (holder != nullptr && holder->is_array()) return false;
      if (value_at(at) == nullptr || !given_up_.insert(at).second) continue;
      root_ = without(root_, at);
      return true;
    }
    return false;
  }

  // So that the parts that stay keep their places in the file.
  void drop_others(const std::string& target, const json& parts) {
    const json whole = *value_at(target);
    for (const auto& item : whole.items())
      if (!parts.contains(item.key()))
        root_ = without(root_, (json::json_pointer(target) / item.key()).to_string());
  }

  void mend_name(const std::string& target) {
    const json& siblings = *value_at(parent_of(target));
    std::vector<std::string> free;
    for (const auto& [name, property] : schema_.at(parent_of(target))->properties)
      if (!siblings.contains(name)) free.push_back(name);
    const auto nearest = nearest_name(json::json_pointer(target).back(), free);
    root_ = nearest ? renamed(root_, target, *nearest) : without(root_, target);
  }

  static bool is_part_of(const json& value, const json* whole) {
    return value.is_object() && whole != nullptr && whole->is_object() &&
           std::all_of(value.begin(), value.end(), [&](const json& part) {
             return std::find(whole->begin(), whole->end(), part) != whole->end();
           });
  }

  // `pointer`: what the value is read as, of an axis' value not where it stands.
  Candidates candidates(const std::string& pointer, const std::string& target) const {
    const SchemaNode* const node = schema_.at(pointer);
    const SchemaNode* const parent = schema_.at(parent_of(target));
    const json* const value = value_at(target);
    const bool optional = value != nullptr && parent != nullptr && parent->is_object &&
                          pointer == target &&
                          !parent->required.contains(json::json_pointer(target).back());
    std::vector<json> valid;
    if (node != nullptr) valid = sample_values(*node, value);
    if (mends_ == Mends::unlikely) std::reverse(valid.begin(), valid.end());
    Candidates all;
    if (node != nullptr && node->is_object && value != nullptr && value->is_object())
      all.values.emplace_back(wrong_parts(*node, *value));
    if (node != nullptr && value != nullptr)
      for (const json& meant : meant_values(*node, *value)) all.values.emplace_back(meant);
    if (optional && mends_ == Mends::likely) all.values.emplace_back();
    for (const json& one : valid) all.values.emplace_back(one);
    if (all.values.size() > kMostMends) all.values.resize(kMostMends);
    if (optional && mends_ == Mends::unlikely) all.values.emplace_back();
    return all;
  }

  std::vector<json> meant_values(const SchemaNode& node, const json& value) const {
    std::vector<json> meant = likely_values(node, value);
    if (mends_ == Mends::unlikely)
      std::erase_if(meant, [&](const json& one) { return !is_unquoted(one, value); });
    return meant;
  }

  const std::string& path_;
  JsonNode root_;
  const SchemaNode& schema_;
  Mends mends_;
  std::map<std::string, Candidates> mended_;  // by JSON pointer
  std::set<std::string> given_up_;            // JSON pointers
};

// Those that are wrong by themselves, and those that other mends do not change.
std::vector<InputError> lasting(const std::vector<Mistake>& likely,
                                const std::vector<Mistake>& unlikely) {
  std::vector<InputError> lasting;
  for (const auto& [error, by_itself] : likely) {
    const std::string said = error.what();
    const bool again = std::any_of(unlikely.begin(), unlikely.end(), [&](const Mistake& other) {
      return said == other.error.what();
    });
    const bool known = std::any_of(lasting.begin(), lasting.end(),
                                   [&](const InputError& other) { return said == other.what(); });
    if ((by_itself || again) && !known) lasting.push_back(error);
  }
  return lasting;
}

std::vector<InputError> mistakes_of(const std::string& path,
                                    const JsonNode& root,
                                    const InputError& first) {
  const SchemaNode schema =
      observe_samples(is_training(root) ? ScenarioKind::training : ScenarioKind::serving);
  std::vector<InputError> found =
      lasting(MistakeFinder(path, root, schema, Mends::likely).find(first),
              MistakeFinder(path, root, schema, Mends::unlikely).find(first));
  const auto place = [&](const InputError& error) {
    const Location& where = error.where();
    return std::tuple(where.file != path, where.line, where.column);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const InputError& a, const InputError& b) { return place(a) < place(b); });
  return found;
}

}  // namespace

CheckedFile check_file(const std::string& path,
                       const std::vector<std::string>& overrides,
                       Outside outside) {
  CheckedFile checked;
  std::optional<JsonNode> root;
  try {
    root = read_study_file(path, overrides, outside);
    checked.study = load_all(path, *root);
  } catch (const InputError& error) {
    checked.mistakes = root ? mistakes_of(path, *root, error) : std::vector{error};
  }
  return checked;
}

}  // namespace moesim
