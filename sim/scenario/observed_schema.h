// What a loader was seen to accept, gathered over files into one schema.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "sim/io/json_observer.h"

namespace moesim {

// All values that may stand at one place of a file, list elements taken as one, and so the values
// of an object whose keys are names of the user's.
struct SchemaNode {
  std::vector<nlohmann::json> accepted;  // in the words of JSON Schema, except objects and lists
  bool is_object = false;
  std::map<std::string, std::unique_ptr<SchemaNode>> properties;  // of an object
  std::set<std::string> required;        // keys that every reader of an object demanded
  std::unique_ptr<SchemaNode> any_key;   // of an object with keys of the user's
  std::unique_ptr<SchemaNode> elements;  // of a list
  std::vector<nlohmann::json> examples;  // values that files had there

  // Nothing was read of it: no file that was observed has the key.
  bool unseen() const;
  // The node that values at this JSON pointer have; null where none was seen.
  const SchemaNode* at(const std::string& pointer) const;
};

// Watches the loading of one file.
class ObservedFile : public JsonObserver {
 public:
  void keys_allowed(const std::string& pointer, const std::vector<std::string>& keys) override;
  void any_key(const std::string& pointer) override;
  void needed(const std::string& pointer, const std::string& key) override;
  void list(const std::string& pointer) override;
  void accepts(const std::string& pointer, const nlohmann::json& schema) override;

  // Adds what was seen, and the values of `root`, the file itself, as examples.
  void merge_into(SchemaNode& schema, const nlohmann::json& root) const;

 private:
  struct Seen {
    std::vector<std::string> keys;
    bool keys_listed = false, any_key = false, is_list = false;
    std::set<std::string> needed;
    std::vector<nlohmann::json> accepted;
  };
  std::map<std::string, Seen> seen_;  // by JSON pointer, so that parents come before their children
};

}  // namespace moesim
