// What stands behind a JsonNode: the value tree and the place of each value. Only json_*.cpp
// include this.
#pragma once

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

#include "sim/io/json_observer.h"
#include "sim/io/json_path.h"
#include "sim/io/json_reader.h"

namespace moesim {

// A text that values were read from.
struct JsonSource {
  std::string name, text;

  Location at_offset(std::size_t offset) const {
    offset = std::min(offset, text.size());
    const std::size_t line_start = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(line_start), '\n');
    return {name, static_cast<int>(line), static_cast<int>(offset - line_start + 1), ""};
  }
};

// NOLINTNEXTLINE(bugprone-exception-escape): nlohmann::json may throw when it is moved, never does
class JsonDocument {
 public:
  struct Place {
    std::shared_ptr<const JsonSource> source;
    std::size_t offset = 0;
  };
  nlohmann::json root;
  std::unordered_map<std::string, Place> places;    // JSON pointer -> where the value stands
  JsonObserver* observer = nullptr;                 // told of every read; null = nobody
  std::shared_ptr<const ReadableFolders> readable;  // of files it names; null = all

  static JsonNode parse(std::string text, const std::string& name);
  static JsonNode made_at(const JsonNode& origin, const nlohmann::json& value);  // json_made.h
  static JsonNode observed(const JsonNode& root, JsonObserver& observer);        // json_observer.h
  static JsonNode guarded(const JsonNode& root, std::shared_ptr<const ReadableFolders> readable);
  static JsonNode opened(const JsonNode& node, const std::string& path);  // json_path.h
  static const ReadableFolders* readable_by(const JsonNode& node);
  static void tell(const JsonNode& node, const nlohmann::json& accepted);  // json_observer.h
  // json_mend.h
  static JsonNode without(const JsonNode& root, const std::string& pointer);
  static JsonNode replaced(const JsonNode& root,
                           const std::string& pointer,
                           const nlohmann::json& value);
  static JsonNode renamed(const JsonNode& root, const std::string& pointer, const std::string& key);
  static std::string pointer_at(const JsonNode& root, const Location& where);

 private:
  // A copy to be changed, and the node of its root.
  static std::shared_ptr<JsonDocument> copy_of(const JsonNode& node);
  static JsonNode root_of(std::shared_ptr<const JsonDocument> document);
};

// A key as a JSON pointer's step (RFC 6901).
std::string escaped_key(std::string_view key);

}  // namespace moesim
