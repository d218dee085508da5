// Values out and in, and the table of places kept in step.
#include "sim/io/json_mend.h"

#include <utility>

#include "sim/io/json_document.h"

namespace moesim {
namespace {

using nlohmann::json;

std::string parent_of(const std::string& pointer) { return pointer.substr(0, pointer.rfind('/')); }

bool within(const std::string& pointer, const std::string& parent) {
  return pointer == parent || pointer.starts_with(parent + "/");
}

// Where a place goes when element `removed` of the list at `parent` does, or key and all when
// `parent` is an object; nothing for what goes with it.
std::string moved_pointer(const std::string& pointer,
                          const json::json_pointer& removed,
                          bool list) {
  const std::string parent = removed.parent_pointer().to_string();
  if (within(pointer, removed.to_string())) return {};
  if (!list || !pointer.starts_with(parent + "/")) return pointer;
  const std::size_t begin = parent.size() + 1;
  const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
  const unsigned long index = std::stoul(pointer.substr(begin, end - begin));
  if (index < std::stoul(removed.back())) return pointer;
  return parent + "/" + std::to_string(index - 1) + pointer.substr(end);
}

}  // namespace

std::string JsonDocument::pointer_at(const JsonNode& root, const Location& where) {
  const JsonDocument& document = *root.document_;
  const auto stands = [&](const std::string& pointer) {
    const auto found = document.places.find(pointer);
    if (found == document.places.end()) return false;
    const Location place = found->second.source->at_offset(found->second.offset);
    return place.file == where.file && place.line == where.line && place.column == where.column;
  };
  if (stands(where.pointer)) return where.pointer;
  const std::string parent = parent_of(where.pointer);
  const bool missing = !where.pointer.empty() && stands(parent) &&
                       document.root.at(json::json_pointer(parent)).is_object();
  if (missing) return where.pointer;
  std::string best;  // the innermost, should a value begin where the one around it does
  for (const auto& [pointer, place] : document.places)
    if (pointer.size() > best.size() && place.source->name == where.file && stands(pointer))
      best = pointer;
  return best;
}

JsonNode JsonDocument::without(const JsonNode& root, const std::string& pointer) {
  const auto document = copy_of(root);
  const json::json_pointer removed(pointer);
  json& parent = document->root.at(removed.parent_pointer());
  const bool list = parent.is_array();
  if (list)
    parent.erase(std::stoul(removed.back()));
  else
    parent.erase(removed.back());
  std::unordered_map<std::string, Place> places;
  for (auto& [at, place] : document->places)
    if (const std::string now = moved_pointer(at, removed, list); at.empty() || !now.empty())
      places[now] = std::move(place);
  document->places = std::move(places);
  return root_of(document);
}

JsonNode JsonDocument::replaced(const JsonNode& root,
                                const std::string& pointer,
                                const json& value) {
  const auto document = copy_of(root);
  const auto own = document->places.find(pointer);
  const Place place =
      own != document->places.end() ? own->second : document->places.at(parent_of(pointer));
  std::erase_if(document->places, [&](const auto& entry) { return within(entry.first, pointer); });
  document->root[json::json_pointer(pointer)] = value;
  // Values within it are looked up by their own pointers.
  const json flat = json{{"value", value}}.flatten();
  for (const auto& item : flat.items()) {
    json::json_pointer inner(item.key());
    for (; !inner.empty(); inner.pop_back())
      document->places[pointer + inner.to_string().substr(std::string("/value").size())] = place;
  }
  return root_of(document);
}

std::string pointer_at(const JsonNode& root, const Location& where) {
  return JsonDocument::pointer_at(root, where);
}

JsonNode without(const JsonNode& root, const std::string& pointer) {
  return JsonDocument::without(root, pointer);
}

JsonNode replaced(const JsonNode& root, const std::string& pointer, const json& value) {
  return JsonDocument::replaced(root, pointer, value);
}

JsonNode JsonDocument::renamed(const JsonNode& root,
                               const std::string& pointer,
                               const std::string& key) {
  const auto document = copy_of(root);
  const std::string parent = parent_of(pointer), now = parent + "/" + escaped_key(key);
  json& object = document->root.at(json::json_pointer(parent));
  const std::string old = json::json_pointer(pointer).back();
  object[key] = std::move(object.at(old));
  object.erase(old);
  std::unordered_map<std::string, Place> places;
  for (auto& [at, place] : document->places)
    places[within(at, pointer) ? now + at.substr(pointer.size()) : at] = std::move(place);
  document->places = std::move(places);
  return root_of(document);
}

JsonNode renamed(const JsonNode& root, const std::string& pointer, const std::string& key) {
  return JsonDocument::renamed(root, pointer, key);
}

}  // namespace moesim
