// Guesses by what was observed of a place.
#include "sim/scenario/valid_values.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/core/error.h"
#include "sim/scenario/schema_match.h"

namespace moesim {
namespace {

using nlohmann::json;

std::optional<json> likely_name(const json& way, const json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto names = way.at("enum").get<std::vector<std::string>>();
  const auto nearest = nearest_name(value.get<std::string>(), names);
  return nearest ? std::optional<json>(*nearest) : std::nullopt;
}

std::optional<json> likely_number(const json& way, const json& value) {
  const json number =
      value.is_string() ? json::parse(value.get<std::string>(), nullptr, false) : value;
  if (!number.is_number() || (way.at("type") == "integer" && !number.is_number_integer()))
    return std::nullopt;
  return std::min(std::max(number, way.at("minimum")), way.at("maximum"));
}

}  // namespace

std::vector<json> likely_values(const SchemaNode& node, const json& value) {
  std::vector<json> likely;
  for (const json& way : node.accepted) {
    const std::optional<json> meant = way.contains("enum")      ? likely_name(way, value)
                                      : way.contains("minimum") ? likely_number(way, value)
                                                                : std::nullopt;
    if (meant && *meant != value) likely.push_back(*meant);
  }
  return likely;
}

bool is_unquoted(const json& meant, const json& value) {
  return value.is_string() && meant.is_number() && meant.dump() == value.get<std::string>();
}

std::vector<json> sample_values(const SchemaNode& node, const json* wrong) {
  std::vector<json> valid;
  for (const json& example : node.examples)
    if (wrong == nullptr || example != *wrong) valid.push_back(example);
  return valid;
}

json wrong_parts(const SchemaNode& node, const json& value) {
  json parts = json::object();
  for (const auto& item : value.items()) {
    const auto property = node.properties.find(item.key());
    const bool right =
        property != node.properties.end() && matches(*property->second, item.value());
    if (!right || node.required.contains(item.key())) parts[item.key()] = item.value();
  }
  return parts;
}

}  // namespace moesim
