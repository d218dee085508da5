// The samples loaded under observation, and the schema they give in the words of JSON Schema.
#include "sim/scenario/schema.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/scenario/load_cluster.h"
#include "sim/scenario/load_search.h"
#include "sim/scenario/load_training.h"
#include "sim/scenario/study_reader.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr const char* kFolder = "sim/scenario/schema";
constexpr const char* kOwnKeys = "^(_|\\$schema$)";  // that readers leave alone

std::vector<std::string> sample_files() {
  const std::string folder = data_path(std::string(kFolder) + "/samples");
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

// Files for training have clusters as all others do, so their schema sees those of all others too.
void watch(const std::string& path, ScenarioKind kind, SchemaNode& schema) {
  const bool training = std::filesystem::path(path).stem().string().starts_with("training");
  if (training && kind == ScenarioKind::serving) return;
  const JsonNode plain = read_json_file(path);
  ObservedFile file;
  const JsonNode root = observed(plain, file);
  json examples = root.json();
  if (training) {
    load_training(root, path);
  } else if (kind == ScenarioKind::training) {
    read_cluster(root.at("cluster"));
    examples = {{"cluster", examples.at("cluster")}};
  } else {
    load_study(path, root);
    if (root.has("search")) load_search(root);
  }
  file.merge_into(schema, examples);
}

// Calls `visit` with the dotted key and node of every place below `node`.
void visit_keys(const SchemaNode& node,
                const std::string& key,
                const std::function<void(const std::string&, const SchemaNode&)>& visit) {
  if (!key.empty()) visit(key, node);
  const std::string front = key.empty() ? "" : key + ".";
  for (const auto& [name, property] : node.properties) visit_keys(*property, front + name, visit);
  if (node.any_key) visit_keys(*node.any_key, front + "*", visit);
  if (node.elements) visit_keys(*node.elements, key + "[]", visit);
}

bool of_study(const std::string& key) {
  const std::string top = key.substr(0, key.find_first_of(".["));
  const auto& study = study_keys();
  return std::find(study.begin(), study.end(), top) != study.end();
}

// The values of an axis are read where it sets them.
bool of_axis(const std::string& key) {
  return key.starts_with("vary.") || key.starts_with("zip.") || key.starts_with("search.over.");
}

json reference(std::string key) {
  for (std::size_t at = key.find("[]"); at != std::string::npos; at = key.find("[]"))
    key.replace(at, 2, "%5B%5D");  // a URI has no brackets (RFC 3986)
  return {{"$ref", "#/definitions/" + key}};
}
json object_schema(const SchemaNode& node, const std::string& key) {
  const std::string front = key.empty() ? "" : key + ".";
  json schema{{"type", "object"}};
  if (node.is_object) {
    schema["properties"] = json::object();
    for (const auto& [name, property] : node.properties)
      schema["properties"][name] = reference(front + name);
    schema["patternProperties"] = {{kOwnKeys, json::object()}};
    schema["additionalProperties"] = false;
  } else {
    schema["patternProperties"] = {{"^_", json::object()}};
    schema["additionalProperties"] = reference(front + "*");
  }
  return schema;
}

json schema_of(const SchemaNode& node, const std::string& key) {
  std::vector<json> ways = node.accepted;
  if (node.is_object || node.any_key) ways.push_back(object_schema(node, key));
  if (node.elements) ways.push_back({{"type", "array"}, {"items", reference(key + "[]")}});
  if (ways.empty()) return json::object();
  return ways.size() == 1 ? ways.front() : json{{"anyOf", ways}};
}

// Only what must be there, of an object and of those within it that stand in no list: an axis of a
// study may set any of it.
json required_of(const SchemaNode& node) {
  json schema = json::object();
  if (!node.required.empty()) schema["required"] = node.required;
  for (const auto& [name, property] : node.properties)
    if (json inner = required_of(*property); !inner.empty())
      schema["properties"][name] = std::move(inner);
  return schema;
}

// "^workload\.trace\.synthetic\.domains\.[^.]+$": a dotted key in which a "*" stands for any name.
std::string pattern_of(const std::string& key) {
  std::string pattern = "^";
  for (const char letter : key) {
    if (letter == '*')
      pattern += "[^.]+";
    else
      pattern += letter == '.' ? "\\." : std::string(1, letter);
  }
  return pattern + "$";
}

// Keys of a point, each with what `values` makes of it.
json axes_schema(const SchemaNode& root, const std::function<json(const std::string&)>& values) {
  json schema{{"type", "object"}, {"additionalProperties", false}};
  schema["patternProperties"] = {{"^_", json::object()}};
  visit_keys(root, "", [&](const std::string& key, const SchemaNode&) {
    if (of_study(key) || key.find("[]") != std::string::npos) return;
    if (key.find('*') == std::string::npos)
      schema["properties"][key] = values(key);
    else
      schema["patternProperties"][pattern_of(key)] = values(key);
  });
  return schema;
}

void add_axes(json& definitions, const SchemaNode& root) {
  const json lists = axes_schema(root, [](const std::string& key) {
    return json{{"type", "array"}, {"minItems", 1}, {"items", reference(key)}};
  });
  for (const char* key : {"vary", "zip", "search.over"}) definitions[key].update(lists);
  const json ranges =
      axes_schema(root, [](const std::string&) { return reference("sample.axes.*"); });
  definitions["sample.axes"].update(ranges);
}

void add_descriptions(json& definitions, ScenarioKind kind) {
  const JsonNode file = read_json_file(data_path(std::string(kFolder) + "/keys.json"));
  const JsonNode own = file.at(kind == ScenarioKind::training ? "training" : "serving");
  for (const auto& item : definitions.items()) {
    const auto line = own.find(item.key());
    const auto shared = file.at("both").find(item.key());
    if (line || shared) item.value()["description"] = (line ? *line : *shared).as_string();
  }
}

}  // namespace

SchemaNode observe_samples(ScenarioKind kind) {
  // The loaders of training say what the root holds, so theirs come first.
  std::vector<std::string> files = sample_files();
  std::stable_partition(files.begin(), files.end(), [](const std::string& path) {
    return std::filesystem::path(path).stem().string().starts_with("training");
  });
  SchemaNode schema;
  for (const std::string& path : files) watch(path, kind, schema);
  return schema;
}

std::vector<std::string> unseen_keys(const SchemaNode& schema) {
  std::vector<std::string> unseen;
  visit_keys(schema, "", [&](const std::string& key, const SchemaNode& node) {
    if (node.unseen() && !of_axis(key)) unseen.push_back(key);
  });
  return unseen;
}

std::vector<std::string> schema_keys(const SchemaNode& schema) {
  std::vector<std::string> keys;
  visit_keys(schema, "", [&](const std::string& key, const SchemaNode&) {
    if (!of_axis(key)) keys.push_back(key);
  });
  return keys;
}

json json_schema(ScenarioKind kind) {
  const SchemaNode root = observe_samples(kind);
  json definitions = json::object();
  visit_keys(root, "", [&](const std::string& key, const SchemaNode& node) {
    if (of_axis(key)) return;
    definitions[key] = schema_of(node, key);
    const bool apart = of_study(key) || key.find_first_of("*[") != std::string::npos;
    if (apart && !node.required.empty()) definitions[key]["required"] = node.required;
  });
  json schema = object_schema(root, "");
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = kind == ScenarioKind::training ? "moesim training scenario" : "moesim scenario";
  json complete = required_of(root);
  if (kind == ScenarioKind::serving) {
    add_axes(definitions, root);
    json spans = json::array();
    for (const char* key : {"vary", "zip", "sample", "search"})
      spans.push_back({{"required", {key}}});
    schema["if"] = {{"anyOf", spans}};
    schema["else"] = std::move(complete);
  } else {
    schema["allOf"] = json::array({std::move(complete)});
  }
  add_descriptions(definitions, kind);
  schema["definitions"] = std::move(definitions);
  return schema;
}

}  // namespace moesim
