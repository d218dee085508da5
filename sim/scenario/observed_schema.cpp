// Places of files become places of the schema; what files have in common is merged there.
#include "sim/scenario/observed_schema.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace moesim {
namespace {

using nlohmann::json;

constexpr std::size_t kMostExamples = 6;

template <class Value>
void add_new(std::vector<Value>& into, const Value& value) {
  if (std::find(into.begin(), into.end(), value) == into.end()) into.push_back(value);
}

SchemaNode* child_of(const SchemaNode& node, const std::string& step) {
  const auto property = node.properties.find(step);
  if (property != node.properties.end()) return property->second.get();
  const bool number = !step.empty() && step.find_first_not_of("0123456789") == std::string::npos;
  if (number && node.elements) return node.elements.get();
  return node.any_key.get();
}

template <class Node>
Node* descend(Node& root, const std::string& pointer) {
  Node* node = &root;
  std::vector<std::string> steps;
  for (json::json_pointer rest(pointer); !rest.empty(); rest.pop_back())
    steps.push_back(rest.back());
  for (auto step = steps.rbegin(); step != steps.rend() && node != nullptr; ++step)
    node = child_of(*node, *step);
  return node;
}

void add_examples(SchemaNode& node, const json& value) {
  if (!value.is_structured() || node.is_object || node.any_key || node.elements)
    if (node.examples.size() < kMostExamples) add_new(node.examples, value);
  if (value.is_object()) {
    for (const auto& item : value.items())
      if (SchemaNode* const child = child_of(node, item.key())) add_examples(*child, item.value());
  } else if (value.is_array() && node.elements) {
    for (const json& element : value) add_examples(*node.elements, element);
  }
}

// Several lists of names, or several ranges of numbers, are one that holds them all.
void add_accepted(std::vector<json>& accepted, const json& schema) {
  for (json& known : accepted) {
    if (known.contains("enum") && schema.contains("enum")) {
      for (const json& name : schema["enum"])
        if (std::find(known["enum"].begin(), known["enum"].end(), name) == known["enum"].end())
          known["enum"].push_back(name);
      return;
    }
    const bool ranges = known.contains("minimum") && schema.contains("minimum");
    if (ranges && known["type"] == schema["type"]) {
      known["minimum"] = std::min(known["minimum"], schema["minimum"]);
      known["maximum"] = std::max(known["maximum"], schema["maximum"]);
      return;
    }
  }
  add_new(accepted, schema);
}

}  // namespace

bool SchemaNode::unseen() const { return accepted.empty() && !is_object && !any_key && !elements; }

const SchemaNode* SchemaNode::at(const std::string& pointer) const {
  return descend(*this, pointer);
}

void ObservedFile::keys_allowed(const std::string& pointer, const std::vector<std::string>& keys) {
  Seen& seen = seen_[pointer];
  seen.keys_listed = true;
  for (const std::string& key : keys) add_new(seen.keys, key);
}

void ObservedFile::any_key(const std::string& pointer) { seen_[pointer].any_key = true; }

void ObservedFile::needed(const std::string& pointer, const std::string& key) {
  seen_[pointer].needed.insert(key);
}

void ObservedFile::list(const std::string& pointer) { seen_[pointer].is_list = true; }

void ObservedFile::accepts(const std::string& pointer, const json& schema) {
  add_accepted(seen_[pointer].accepted, schema);
}

void ObservedFile::merge_into(SchemaNode& schema, const json& root) const {
  for (const auto& [pointer, seen] : seen_) {
    SchemaNode* const node = descend(schema, pointer);
    if (node == nullptr) continue;  // of a key that no reader has listed
    for (const json& accepted : seen.accepted) add_accepted(node->accepted, accepted);
    if (seen.is_list && !node->elements) node->elements = std::make_unique<SchemaNode>();
    if (seen.keys_listed) {
      std::set<std::string> both;
      std::set_intersection(node->required.begin(), node->required.end(), seen.needed.begin(),
                            seen.needed.end(), std::inserter(both, both.end()));
      node->required = node->is_object ? both : seen.needed;
      node->is_object = true;
      for (const std::string& key : seen.keys)
        if (auto& property = node->properties[key]; !property)
          property = std::make_unique<SchemaNode>();
    } else if (seen.any_key && !node->any_key) {
      node->any_key = std::make_unique<SchemaNode>();
    }
  }
  add_examples(schema, root);
}

}  // namespace moesim
