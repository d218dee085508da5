// Checked reading of JSON: every value knows its file, line, column and key, duplicate keys are
// refused, and every physical value must carry its unit. All of the project's JSON input goes
// through here.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"
#include "sim/core/units.h"

namespace moesim {

class JsonDocument;

struct IntRange {
  std::int64_t low = 0, high = 0;  // both ends allowed
};

// A value inside a document: a cheap cursor that keeps the document alive. Every as_*() throws
// InputError with the location when the value is of another type or out of range.
class JsonNode {
 public:
  bool is_object() const;
  bool is_array() const;
  bool is_string() const;
  bool is_number() const;
  bool is_null() const;
  bool is(std::string_view text) const;  // this very string, which the reader treats apart

  bool has(std::string_view key) const;
  JsonNode at(std::string_view key) const;                   // InputError when the key is missing
  std::optional<JsonNode> find(std::string_view key) const;  // nullopt when missing or null
  std::vector<std::string> keys() const;  // of an object, in file order of nlohmann (sorted)
  std::vector<JsonNode> items() const;    // of an array

  // Refuses every key of this object that is not listed (or starts with "_" or is "$schema"): the
  // nearest valid name is in the message.
  void allow_only(const std::vector<std::string>& valid) const;

  std::string as_string() const;
  std::string as_choice(const std::vector<std::string>& valid, std::string_view kind) const;
  bool as_bool() const;
  std::int64_t as_int(std::int64_t low, std::int64_t high) const;  // both ends allowed
  // low to high hold in this file, because of what else it says; `anywhere` in every file.
  std::int64_t as_int(std::int64_t low, std::int64_t high, IntRange anywhere) const;
  double as_number() const;                        // finite
  double as_ratio(double low, double high) const;  // a bare number between the two, ends allowed
  Bytes as_bytes() const;
  Seconds as_seconds() const;
  BytesPerSecond as_bytes_per_second() const;
  FlopsPerSecond as_flops_per_second() const;

  const nlohmann::json& json() const;
  Location where() const;
  [[noreturn]] void fail(const std::string& message) const;  // throws InputError at this place

  // This object's document with the value at `dotted_key` replaced (or added, with the objects on
  // the way to it). Places are kept: values of this document report their file, the replacement
  // reports its own.
  JsonNode with(std::string_view dotted_key, const JsonNode& replacement) const;

 private:
  friend class JsonDocument;
  JsonNode(std::shared_ptr<const JsonDocument> document,
           const nlohmann::json* value,
           std::string pointer);
  template <class Schema>
  void tell(Schema schema) const;  // to the document's observer (json_observer.h)
  std::string text() const;
  double number() const;
  template <class Parse>
  auto quantity(Parse parse, std::string_view kind, std::string_view example) const;

  std::shared_ptr<const JsonDocument> document_;
  const nlohmann::json* value_;
  std::string pointer_;  // JSON pointer, the key of the position table
};

// Reads the whole file (or text); `name` stands in messages. InputError: missing file, syntax
// error, duplicate key (all with line and column), nesting deeper than 64.
JsonNode read_json_file(const std::string& path);
JsonNode read_json_text(std::string_view text, const std::string& name);

}  // namespace moesim
