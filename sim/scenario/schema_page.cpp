// The schema as Markdown, a row a key.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sim/scenario/schema.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr std::size_t kMostNames = 24;  // of a list that a cell shows in full

std::string names_text(const json& names) {
  if (names.size() > kMostNames)
    return fmt::format("one of {} names, as {} (`moesim list models`)", names.size(),
                       names.front().dump());
  std::string text;
  for (const json& name : names) text += (text.empty() ? "" : ", ") + name.dump();
  return text;
}

std::string number_text(const json& way, const std::string& kind) {
  if (!way.contains("minimum")) return kind;
  return fmt::format("{}, {} to {}", kind, way.at("minimum").dump(), way.at("maximum").dump());
}

// What one of the ways to write a value is, in a few words.
std::string way_text(const json& way) {
  if (way.contains("enum")) return names_text(way.at("enum"));
  if (way.contains("examples")) return "quantity, as " + way.at("examples").front().dump();
  const std::string type = way.value("type", "");
  if (type == "integer") return number_text(way, "whole number");
  if (type == "number") return number_text(way, "number");
  if (type == "boolean") return "true or false";
  if (type == "array") return "list";
  if (type == "string") return way.contains("pattern") ? "a path" : "text";
  return type;
}

std::string value_text(const json& definition) {
  if (!definition.contains("anyOf")) return way_text(definition);
  std::string text;
  for (const json& way : definition.at("anyOf"))
    text += (text.empty() ? "" : "; or ") + way_text(way);
  return text;
}

std::string table(ScenarioKind kind) {
  std::string text = "| key | value | meaning |\n|---|---|---|\n";
  const json schema = json_schema(kind);
  for (const auto& item : schema.at("definitions").items())
    text += fmt::format("| `{}` | {} | {} |\n", item.key(), value_text(item.value()),
                        item.value().value("description", ""));
  return text;
}

}  // namespace

std::string schema_page() {
  return "# Keys of a scenario file\n\n"
         "Made by `moesim schema --page` from what the loader accepts; `[]` is an element of a "
         "list, "
         "`*` a key of your\nown. Keys that begin with `_` are comments. `moesim schema` prints "
         "the "
         "same as JSON Schema, by which editors\ncomplete and check a file that begins with "
         "`{\"$schema\": \"scenario.schema.json\"`.\n\n" +
         table(ScenarioKind::serving) +
         "\n## Training\n\nOf the files that `moesim train` reads (`moesim schema "
         "--training`).\n\n" +
         table(ScenarioKind::training);
}

}  // namespace moesim
