// The few keywords of JSON Schema that readers tell (sim/io/json_observer.h).
#include "sim/scenario/schema_match.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

namespace moesim {
namespace {

using nlohmann::json;

bool is_own(const std::string& key) { return key.starts_with("_") || key == "$schema"; }

bool is_of_type(const json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  return type == "integer" ? value.is_number_integer() : value.is_number();
}

bool is_way(const json& way, const json& value) {
  if (way.contains("enum")) {
    const json& names = way.at("enum");
    return std::find(names.begin(), names.end(), value) != names.end();
  }
  if (!is_of_type(value, way.at("type").get<std::string>())) return false;
  if (way.contains("minimum") && (value < way.at("minimum") || value > way.at("maximum")))
    return false;
  return !way.contains("pattern") ||
         std::regex_search(value.get<std::string>(),
                           std::regex(way.at("pattern").get<std::string>()));
}

bool object_matches(const SchemaNode& node, const json& value) {
  for (const std::string& key : node.required)
    if (!value.contains(key)) return false;
  for (const auto& item : value.items()) {
    if (is_own(item.key())) continue;
    const auto property = node.properties.find(item.key());
    const SchemaNode* const child =
        property != node.properties.end() ? property->second.get() : node.any_key.get();
    if (child == nullptr || !matches(*child, item.value())) return false;
  }
  return true;
}

}  // namespace

bool matches_outside(const SchemaNode& node, const json& value) {
  if (node.unseen()) return true;
  if (value.is_object()) return node.is_object || node.any_key;
  if (value.is_array()) return node.elements != nullptr;
  return std::any_of(node.accepted.begin(), node.accepted.end(),
                     [&](const json& way) { return is_way(way, value); });
}

bool matches(const SchemaNode& node, const json& value) {
  if (node.unseen()) return true;
  if (!matches_outside(node, value)) return false;
  if (value.is_object()) return object_matches(node, value);
  return !value.is_array() || std::all_of(value.begin(), value.end(), [&](const json& element) {
    return matches(*node.elements, element);
  });
}

}  // namespace moesim
