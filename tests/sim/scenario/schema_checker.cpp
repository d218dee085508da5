// Keyword by keyword, as https://json-schema.org/draft-07 says.
#include "tests/sim/scenario/schema_checker.h"

#include <regex>
#include <set>
#include <stdexcept>

namespace moesim::test {
namespace {

using nlohmann::json;

bool is_of_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  throw std::logic_error("type " + type);
}

std::string target_of(std::string reference) {  // "#/definitions/faults%5B%5D"
  reference.erase(0, 1);
  for (const auto& [from, to] : {std::pair("%5B", "["), std::pair("%5D", "]")})
    for (std::size_t at = reference.find(from); at != std::string::npos; at = reference.find(from))
      reference.replace(at, 3, to);
  return reference;
}

void check_keywords(const json& schema) {
  static const std::set<std::string> known{"$schema",
                                           "$ref",
                                           "title",
                                           "description",
                                           "definitions",
                                           "examples",
                                           "type",
                                           "enum",
                                           "minimum",
                                           "maximum",
                                           "pattern",
                                           "anyOf",
                                           "allOf",
                                           "if",
                                           "else",
                                           "items",
                                           "minItems",
                                           "required",
                                           "properties",
                                           "patternProperties",
                                           "additionalProperties"};
  for (const auto& item : schema.items())
    if (!known.contains(item.key())) throw std::logic_error("unknown keyword " + item.key());
}

}  // namespace

std::string SchemaChecker::of_leaf(const json& schema,
                                   const json& value,
                                   const std::string& at) const {
  if (schema.contains("type") && !is_of_type(value, schema["type"].get<std::string>()))
    return at + ": not of type " + schema["type"].dump();
  if (schema.contains("enum")) {
    bool found = false;
    for (const json& one : schema["enum"]) found = found || one == value;
    if (!found) return at + ": not in " + schema["enum"].dump();
  }
  if (value.is_number() && schema.contains("minimum") && value < schema["minimum"])
    return at + ": below the minimum";
  if (value.is_number() && schema.contains("maximum") && value > schema["maximum"])
    return at + ": above the maximum";
  if (value.is_string() && schema.contains("pattern") &&
      !std::regex_search(value.get<std::string>(),
                         std::regex(schema["pattern"].get<std::string>())))
    return at + ": does not match " + schema["pattern"].dump();
  return "";
}

std::string SchemaChecker::of_object(const json& schema,
                                     const json& value,
                                     const std::string& at) const {
  for (const json& key : schema.value("required", json::array()))
    if (!value.contains(key.get<std::string>())) return at + ": lacks " + key.dump();
  const json patterns = schema.value("patternProperties", json::object());
  for (const auto& item : value.items()) {
    const std::string inner = at + "/" + item.key();
    bool known = false;
    if (schema.contains("properties") && schema["properties"].contains(item.key())) {
      known = true;
      const std::string said = refusal(schema["properties"][item.key()], item.value(), inner);
      if (!said.empty()) return said;
    }
    for (const auto& pattern : patterns.items()) {
      if (!std::regex_search(item.key(), std::regex(pattern.key()))) continue;
      known = true;
      const std::string said = refusal(pattern.value(), item.value(), inner);
      if (!said.empty()) return said;
    }
    if (known || !schema.contains("additionalProperties")) continue;
    const std::string said = refusal(schema["additionalProperties"], item.value(), inner);
    if (!said.empty()) return said;
  }
  return "";
}

std::string SchemaChecker::of_parts(const json& schema,
                                    const json& value,
                                    const std::string& at) const {
  for (const json& part : schema.value("allOf", json::array()))
    if (const std::string said = refusal(part, value, at); !said.empty()) return said;
  if (schema.contains("anyOf")) {
    std::string said;
    bool taken = false;
    for (const json& way : schema["anyOf"]) {
      const std::string why = refusal(way, value, at);
      taken = taken || why.empty();
      said += (said.empty() ? "" : "; or ") + why;
    }
    if (!taken) return said;
  }
  if (schema.contains("if") && !refusal(schema["if"], value, at).empty())
    return refusal(schema.value("else", json::object()), value, at);
  return "";
}

std::string SchemaChecker::refusal(const json& schema,
                                   const json& value,
                                   const std::string& at) const {
  if (schema.is_boolean()) return schema.get<bool>() ? "" : at + ": is not allowed";
  check_keywords(schema);
  if (schema.contains("$ref"))
    return refusal(schema_.at(json::json_pointer(target_of(schema["$ref"].get<std::string>()))),
                   value, at);
  std::string said = of_leaf(schema, value, at);
  if (said.empty()) said = of_parts(schema, value, at);
  if (said.empty() && value.is_object()) said = of_object(schema, value, at);
  if (!said.empty() || !value.is_array()) return said;
  if (value.size() < schema.value("minItems", std::size_t{0})) return at + ": has too few elements";
  for (std::size_t i = 0; said.empty() && schema.contains("items") && i < value.size(); ++i)
    said = refusal(schema["items"], value[i], at + "/" + std::to_string(i));
  return said;
}

}  // namespace moesim::test
