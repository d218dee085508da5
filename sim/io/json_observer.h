// What readers accept of a document, told while they read it: the schema of a file is what its own
// loader asked for (sim/scenario/schema).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

// Pointers are JSON pointers in the document observed.
class JsonObserver {
 public:
  virtual ~JsonObserver() = default;

  // JsonNode::allow_only: the object there may have these keys.
  virtual void keys_allowed(const std::string& pointer, const std::vector<std::string>& keys) = 0;
  virtual void any_key(const std::string& pointer) = 0;                         // JsonNode::keys
  virtual void needed(const std::string& pointer, const std::string& key) = 0;  // JsonNode::at
  virtual void list(const std::string& pointer) = 0;                            // JsonNode::items
  // A value there may be what `schema` says, in the words of JSON Schema, beside what else is told
  // of it.
  virtual void accepts(const std::string& pointer, const nlohmann::json& schema) = 0;
};

// `root`'s document, whose every read is told to `observer`; with() keeps that. `observer` outlives
// its nodes.
JsonNode observed(const JsonNode& root, JsonObserver& observer);

// Tells the observer of `node`, if there is one, what its reader takes by other means than as_*().
void tell_accepted(const JsonNode& node, const nlohmann::json& schema);

}  // namespace moesim
