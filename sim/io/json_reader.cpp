// JSON with places: nlohmann's SAX parser runs over a counting iterator, so each value's offset is
// known and duplicate keys (which the DOM parser would silently drop) are refused.
#include "sim/io/json_reader.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>

#include "sim/io/files.h"

namespace moesim {

using nlohmann::json;

class JsonDocument {
 public:
  std::string name, text;
  json root;
  std::unordered_map<std::string, std::size_t>
      offsets;  // JSON pointer -> offset of the value in text

  Location at_offset(std::size_t offset) const {
    offset = std::min(offset, text.size());
    const std::size_t line_start = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(line_start), '\n');
    return {name, static_cast<int>(line), static_cast<int>(offset - line_start + 1), ""};
  }

  static JsonNode parse(std::string text, const std::string& name);
};

namespace {

constexpr std::size_t kMaxDepth = 64;

// Walks a text and tells how far the parser has read.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  std::size_t* count;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*count;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at == b.at;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) {
    return a.at != b.at;
  }
};

std::string escaped(std::string_view key) {  // RFC 6901
  std::string out;
  for (const char letter : key) {
    if (letter == '~') {
      out += "~0";
    } else if (letter == '/') {
      out += "~1";
    } else {
      out += letter;
    }
  }
  return out;
}

// Builds the value tree and the offsets.
class Builder : public nlohmann::json_sax<json> {
 public:
  Builder(JsonDocument& document, const std::size_t& read) : document_(document), read_(read) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(value); }
  bool string(string_t& value) override { return add(value); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const std::size_t offset = token_start();
    if (open_.back().value->contains(name)) {
      Location where = document_.at_offset(offset);
      where.key = name;
      throw InputError(where, "duplicate key");
    }
    open_.back().key = name;
    last_end_ = read_;
    return true;
  }

  bool parse_error(std::size_t position,
                   const std::string& token,
                   const nlohmann::detail::exception& error) override {
    std::string what = error.what();
    // nlohmann's text starts with its own id and place, which we state better: keep what follows
    // the last of them.
    if (const auto colon = what.find(": syntax error"); colon != std::string::npos)
      what = what.substr(colon + 2);
    (void)token;
    throw InputError(document_.at_offset(position == 0 ? 0 : position - 1),
                     "not valid JSON: " + what);
  }

 private:
  struct Level {
    json* value;
    std::string pointer, key;
  };

  // Where the token just read begins: after the last one, past white space and separators.
  std::size_t token_start() const {
    const std::size_t start = document_.text.find_first_not_of(" \t\r\n,:", last_end_);
    return start == std::string::npos ? last_end_ : start;
  }

  std::string next_pointer() const {
    if (open_.empty()) return "";
    const Level& level = open_.back();
    return level.pointer + "/" +
           (level.value->is_array() ? std::to_string(level.value->size()) : escaped(level.key));
  }

  json* place(json value) {
    document_.offsets[next_pointer()] = token_start();
    last_end_ = read_;
    if (open_.empty()) {
      document_.root = std::move(value);
      return &document_.root;
    }
    Level& level = open_.back();
    if (level.value->is_array()) {
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    return &((*level.value)[level.key] = std::move(value));
  }

  bool add(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json value) {
    if (open_.size() >= kMaxDepth) {
      throw InputError(document_.at_offset(token_start()),
                       "nested deeper than " + std::to_string(kMaxDepth));
    }
    const std::string pointer = next_pointer();
    json* placed = place(std::move(value));
    open_.push_back({placed, pointer, ""});
    return true;
  }

  bool close() {
    open_.pop_back();
    last_end_ = read_;
    return true;
  }

  JsonDocument& document_;
  const std::size_t& read_;
  std::size_t last_end_ = 0;
  std::vector<Level> open_;
};

std::string dotted(const std::string& pointer) {
  std::string key;
  for (const char letter : pointer) key += letter == '/' ? '.' : letter;
  return key.empty() ? key : key.substr(1);
}

}  // namespace

JsonNode JsonDocument::parse(std::string text, const std::string& name) {
  auto document = std::make_shared<JsonDocument>();
  document->name = name;
  document->text = std::move(text);
  std::size_t read = 0;
  Builder builder(*document, read);
  const char* begin = document->text.data();
  nlohmann::json::sax_parse(CountingIterator{begin, &read},
                            CountingIterator{begin + document->text.size(), &read}, &builder);
  const nlohmann::json* root = &document->root;
  return JsonNode(std::move(document), root, "");
}

JsonNode read_json_file(const std::string& path) {
  return JsonDocument::parse(read_text_file(path), path);
}
JsonNode read_json_text(std::string_view text, const std::string& name) {
  return JsonDocument::parse(std::string(text), name);
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

Location JsonNode::where() const {
  const auto found = document_->offsets.find(pointer_);
  Location location = found == document_->offsets.end() ? Location{document_->name, 0, 0, ""}
                                                        : document_->at_offset(found->second);
  location.key = dotted(pointer_);
  return location;
}

void JsonNode::fail(const std::string& message) const { throw InputError(where(), message); }

bool JsonNode::has(std::string_view key) const {
  return value_->is_object() && value_->contains(key);
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!value_->is_object()) fail("must be an object, not " + std::string(value_->type_name()));
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return JsonNode(document_, &*found, pointer_ + "/" + escaped(key));
}

JsonNode JsonNode::at(std::string_view key) const {
  if (auto node = find(key)) return *node;
  fail("the key \"" + std::string(key) + "\" is missing");
}

std::vector<std::string> JsonNode::keys() const {
  if (!value_->is_object()) fail("must be an object, not " + std::string(value_->type_name()));
  std::vector<std::string> keys;
  for (const auto& item : value_->items()) keys.push_back(item.key());
  return keys;
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) fail("must be a list, not " + std::string(value_->type_name()));
  std::vector<JsonNode> items;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    items.push_back(JsonNode(document_, &(*value_)[i], pointer_ + "/" + std::to_string(i)));
  }
  return items;
}

void JsonNode::allow_only(const std::vector<std::string>& valid) const {
  for (const std::string& key : keys()) {
    if (key == "$schema" || key.starts_with("_")) continue;
    if (std::find(valid.begin(), valid.end(), key) != valid.end()) continue;
    JsonNode(document_, &value_->at(key), pointer_ + "/" + escaped(key))
        .fail("unknown key" + name_help(key, valid));
  }
}

std::string JsonNode::as_string() const {
  if (!value_->is_string()) fail("must be a string, not " + value_->dump());
  return value_->get<std::string>();
}

std::string JsonNode::as_choice(const std::vector<std::string>& valid,
                                std::string_view kind) const {
  const std::string text = as_string();
  if (std::find(valid.begin(), valid.end(), text) == valid.end()) {
    fail("unknown " + std::string(kind) + " \"" + text + "\"" + name_help(text, valid));
  }
  return text;
}

bool JsonNode::as_bool() const {
  if (!value_->is_boolean()) fail("must be true or false, not " + value_->dump());
  return value_->get<bool>();
}

std::int64_t JsonNode::as_int(std::int64_t low, std::int64_t high) const {
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
  if (!value_->is_number()) fail("must be a number, not " + value_->dump());
  const double number = value_->get<double>();
  if (!std::isfinite(number)) fail("must be finite");
  return number;
}

double JsonNode::as_ratio(double low, double high) const {
  const double number = as_number();
  if (number < low || number > high) {
    fail(value_->dump() + " is out of range; allowed: " + nlohmann::json(low).dump() + " to " +
         nlohmann::json(high).dump());
  }
  return number;
}

template <class Parse>
auto JsonNode::quantity(Parse parse, std::string_view kind, std::string_view example) const {
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
