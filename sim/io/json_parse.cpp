// nlohmann's SAX parser over a counting iterator, so each value's offset is known and duplicate
// keys (which the DOM parser would silently drop) are refused.
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "sim/io/json_document.h"

namespace moesim {

std::string escaped_key(std::string_view key) {  // RFC 6901
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

using nlohmann::json;

namespace {

constexpr std::size_t kMaxDepth = 64;

// Walks a text and tells how far the parser has read.
struct CountingIterator {
  // NOLINTBEGIN(readability-identifier-naming): the names std::iterator_traits asks for
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  // NOLINTEND(readability-identifier-naming)

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
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return !(a == b); }
};

// Builds the value tree and the offsets.
class Builder : public nlohmann::json_sax<json> {
 public:
  Builder(JsonDocument& document, std::shared_ptr<const JsonSource> source, const std::size_t& read)
      : document_(document), source_(std::move(source)), read_(read) {}

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
      Location where = source_->at_offset(offset);
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
    throw InputError(source_->at_offset(position == 0 ? 0 : position - 1),
                     "not valid JSON: " + what);
  }

 private:
  struct Level {
    json* value;
    std::string pointer, key;
  };

  // Where the token just read begins: after the last one, past white space and separators.
  std::size_t token_start() const {
    const std::size_t start = source_->text.find_first_not_of(" \t\r\n,:", last_end_);
    return start == std::string::npos ? last_end_ : start;
  }

  std::string next_pointer() const {
    if (open_.empty()) return "";
    const Level& level = open_.back();
    return level.pointer + "/" +
           (level.value->is_array() ? std::to_string(level.value->size()) : escaped_key(level.key));
  }

  json* place(json value) {
    document_.places[next_pointer()] = {source_, token_start()};
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
      throw InputError(source_->at_offset(token_start()),
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
  std::shared_ptr<const JsonSource> source_;
  const std::size_t& read_;
  std::size_t last_end_ = 0;
  std::vector<Level> open_;
};

}  // namespace

JsonNode JsonDocument::parse(std::string text, const std::string& name) {
  auto source = std::make_shared<JsonSource>(JsonSource{name, std::move(text)});
  auto document = std::make_shared<JsonDocument>();
  std::size_t read = 0;
  Builder builder(*document, source, read);
  const char* begin = source->text.data();
  nlohmann::json::sax_parse(CountingIterator{begin, &read},
                            CountingIterator{begin + source->text.size(), &read}, &builder);
  const nlohmann::json* root = &document->root;
  return JsonNode(std::move(document), root, "");
}

}  // namespace moesim
