// What stands behind a JsonNode: the value tree and the place of each value. Only json_*.cpp
// include this.
#pragma once

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

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
  std::unordered_map<std::string, Place> places;  // JSON pointer -> where the value stands

  static JsonNode parse(std::string text, const std::string& name);
  static JsonNode made_at(const JsonNode& origin, const nlohmann::json& value);  // json_made.h
};

// A key as a JSON pointer's step (RFC 6901).
std::string escaped_key(std::string_view key);

}  // namespace moesim
