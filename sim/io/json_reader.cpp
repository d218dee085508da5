// Nodes: typed access to a parsed document, every mistake with its place.
#include "sim/io/json_reader.h"

#include <cmath>
#include <utility>

#include "sim/io/files.h"
#include "sim/io/json_document.h"

namespace moesim {
namespace {

std::string dotted(const std::string& pointer) {
  std::string key;
  for (const char letter : pointer) key += letter == '/' ? '.' : letter;
  return key.empty() ? key : key.substr(1);
}

}  // namespace

JsonNode read_json_file(const std::string& path) {
  return JsonDocument::parse(read_text_file(path), path);
}
JsonNode read_json_text(std::string_view text, const std::string& name) {
  return JsonDocument::parse(std::string(text), name);
}

// Costs a comparison where nobody observes: what is told is made by `schema` when it is wanted.
template <class Schema>
void JsonNode::tell(Schema schema) const {
  if (document_->observer != nullptr) document_->observer->accepts(pointer_, schema());
}

JsonNode::JsonNode(std::shared_ptr<const JsonDocument> document,
                   const nlohmann::json* value,
                   std::string pointer)
    : document_(std::move(document)), value_(value), pointer_(std::move(pointer)) {}

bool JsonNode::is_object() const { return value_->is_object(); }
bool JsonNode::is_array() const { return value_->is_array(); }
bool JsonNode::is_string() const { return value_->is_string(); }
bool JsonNode::is_number() const { return value_->is_number(); }
bool JsonNode::is_null() const { return value_->is_null(); }
const nlohmann::json& JsonNode::json() const { return *value_; }

bool JsonNode::is(std::string_view text) const {
  tell([&] { return nlohmann::json{{"enum", {text}}}; });
  return value_->is_string() && value_->get_ref<const std::string&>() == text;
}

Location JsonNode::where() const {
  const auto found = document_->places.find(pointer_);
  Location location = found == document_->places.end()
                          ? Location{}
                          : found->second.source->at_offset(found->second.offset);
  location.key = dotted(pointer_);
  location.pointer = pointer_;
  return location;
}

JsonNode JsonNode::with(std::string_view dotted_key, const JsonNode& replacement) const {
  auto document = std::make_shared<JsonDocument>(*document_);
  const auto own = replacement.document_->places.find(replacement.pointer_);
  const JsonDocument::Place place = own->second;  // every value has one
  nlohmann::json* value = &document->root;
  std::string pointer;
  for (std::size_t begin = 0; begin <= dotted_key.size();) {
    const std::size_t end = std::min(dotted_key.find('.', begin), dotted_key.size());
    const std::string key(dotted_key.substr(begin, end - begin));
    if (!value->is_object())
      replacement.fail("cannot set \"" + std::string(dotted_key) + "\": " + dotted(pointer) +
                       " is no object");
    value = &(*value)[key];
    if (value->is_null()) *value = nlohmann::json::object();
    pointer += "/" + escaped_key(key);
    if (!document->places.contains(pointer)) document->places[pointer] = place;
    begin = end + 1;
  }
  *value = *replacement.value_;
  std::erase_if(document->places,
                [&](const auto& entry) { return entry.first.starts_with(pointer + "/"); });
  for (const auto& [at, inner] : replacement.document_->places) {
    if (at.starts_with(replacement.pointer_ + "/"))
      document->places[pointer + at.substr(replacement.pointer_.size())] = inner;
  }
  document->places[pointer] = place;
  const nlohmann::json* root = &document->root;
  return JsonNode(std::move(document), root, "");
}

void JsonNode::fail(const std::string& message) const { throw InputError(where(), message); }

bool JsonNode::has(std::string_view key) const {
  return value_->is_object() && value_->contains(key);
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!value_->is_object()) fail("must be an object, not " + std::string(value_->type_name()));
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return JsonNode(document_, &*found, pointer_ + "/" + escaped_key(key));
}

JsonNode JsonNode::at(std::string_view key) const {
  if (document_->observer != nullptr) document_->observer->needed(pointer_, std::string(key));
  if (auto node = find(key)) return *node;
  Location place = where();
  place.pointer += "/" + escaped_key(key);
  throw InputError(place, "the key \"" + std::string(key) + "\" is missing");
}

std::vector<std::string> JsonNode::keys() const {
  if (!value_->is_object()) fail("must be an object, not " + std::string(value_->type_name()));
  if (document_->observer != nullptr) document_->observer->any_key(pointer_);
  std::vector<std::string> keys;
  for (const auto& item : value_->items()) keys.push_back(item.key());
  return keys;
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) fail("must be a list, not " + std::string(value_->type_name()));
  if (document_->observer != nullptr) document_->observer->list(pointer_);
  std::vector<JsonNode> items;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    items.push_back(JsonNode(document_, &(*value_)[i], pointer_ + "/" + std::to_string(i)));
  }
  return items;
}

void JsonNode::allow_only(const std::vector<std::string>& valid) const {
  if (!value_->is_object()) fail("must be an object, not " + std::string(value_->type_name()));
  if (document_->observer != nullptr) document_->observer->keys_allowed(pointer_, valid);
  for (const auto& item : value_->items()) {
    const std::string& key = item.key();
    if (key == "$schema" || key.starts_with("_")) continue;
    if (std::find(valid.begin(), valid.end(), key) != valid.end()) continue;
    JsonNode(document_, &value_->at(key), pointer_ + "/" + escaped_key(key))
        .fail("unknown key" + name_help(key, valid));
  }
}

std::string JsonNode::as_string() const {
  tell([] { return nlohmann::json{{"type", "string"}}; });
  return text();
}

std::string JsonNode::text() const {
  if (!value_->is_string()) fail("must be a string, not " + value_->dump());
  return value_->get<std::string>();
}

std::string JsonNode::as_choice(const std::vector<std::string>& valid,
                                std::string_view kind) const {
  tell([&] { return nlohmann::json{{"enum", valid}}; });
  std::string name = text();
  if (std::find(valid.begin(), valid.end(), name) == valid.end()) {
    fail("unknown " + std::string(kind) + " \"" + name + "\"" + name_help(name, valid));
  }
  return name;
}

bool JsonNode::as_bool() const {
  tell([] { return nlohmann::json{{"type", "boolean"}}; });
  if (!value_->is_boolean()) fail("must be true or false, not " + value_->dump());
  return value_->get<bool>();
}

std::int64_t JsonNode::as_int(std::int64_t low, std::int64_t high) const {
  return as_int(low, high, {low, high});
}

std::int64_t JsonNode::as_int(std::int64_t low, std::int64_t high, IntRange anywhere) const {
  tell([&] {
    return nlohmann::json{
        {"type", "integer"}, {"minimum", anywhere.low}, {"maximum", anywhere.high}};
  });
  const std::string range = std::to_string(low) + " to " + std::to_string(high);
  if (!value_->is_number_integer())
    fail("must be a whole number from " + range + ", not " + value_->dump());
  const bool too_large = value_->is_number_unsigned() && value_->get<std::uint64_t>() > INT64_MAX;
  if (too_large || value_->get<std::int64_t>() < low || value_->get<std::int64_t>() > high) {
    fail(value_->dump() + " is out of range; allowed: " + range);
  }
  return value_->get<std::int64_t>();
}

double JsonNode::as_number() const {
  tell([] { return nlohmann::json{{"type", "number"}}; });
  return number();
}

double JsonNode::number() const {
  if (!value_->is_number()) fail("must be a number, not " + value_->dump());
  const double value = value_->get<double>();
  if (!std::isfinite(value)) fail("must be finite");
  return value;
}

double JsonNode::as_ratio(double low, double high) const {
  tell([&] { return nlohmann::json{{"type", "number"}, {"minimum", low}, {"maximum", high}}; });
  const double value = number();
  if (value < low || value > high) {
    fail(value_->dump() + " is out of range; allowed: " + nlohmann::json(low).dump() + " to " +
         nlohmann::json(high).dump());
  }
  return value;
}

template <class Parse>
auto JsonNode::quantity(Parse parse, std::string_view kind, std::string_view example) const {
  using Value = decltype(parse(example));
  tell([&] {
    return nlohmann::json{
        {"type", "string"}, {"pattern", quantity_pattern<Value>()}, {"examples", {example}}};
  });
  if (!value_->is_string()) {
    fail("a " + std::string(kind) + " needs its unit: write a string such as \"" +
         std::string(example) + "\", not " + value_->dump());
  }
  try {
    return parse(value_->get<std::string>());
  } catch (const UnitError& error) {
    fail(error.what());
  }
}

Bytes JsonNode::as_bytes() const { return quantity(parse_bytes, "size", "80 GiB"); }
Seconds JsonNode::as_seconds() const { return quantity(parse_seconds, "time", "2 us"); }
BytesPerSecond JsonNode::as_bytes_per_second() const {
  return quantity(parse_bytes_per_second, "bandwidth", "400 Gb/s");
}
FlopsPerSecond JsonNode::as_flops_per_second() const {
  return quantity(parse_flops_per_second, "compute rate", "989 TFLOP/s");
}

}  // namespace moesim
