// The .npy header is a Python dictionary; a strict reader of just the three keys the format allows
// stands in for Python.
#include "sim/io/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr std::size_t kMaxDimensions = 64;  // NumPy 2's own limit; 1.x allowed 32

struct TypeName {
  NpyType type;
  std::size_t size;
  const char* name;
};
constexpr std::array<TypeName, 12> kTypes{{{NpyType::u8, 1, "|u1"},
                                           {NpyType::i8, 1, "|i1"},
                                           {NpyType::u16, 2, "<u2"},
                                           {NpyType::i16, 2, "<i2"},
                                           {NpyType::u32, 4, "<u4"},
                                           {NpyType::i32, 4, "<i4"},
                                           {NpyType::u64, 8, "<u8"},
                                           {NpyType::i64, 8, "<i8"},
                                           {NpyType::f16, 2, "<f2"},
                                           {NpyType::f32, 4, "<f4"},
                                           {NpyType::f64, 8, "<f8"},
                                           {NpyType::boolean, 1, "|b1"}}};

const TypeName& entry_of(NpyType type) { return kTypes[static_cast<std::size_t>(type)]; }

// What the dictionary says.
struct FoundKeys {
  std::optional<NpyType> type;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

// Reads {'descr': '<i4', 'fortran_order': False, 'shape': (3, 4), } and nothing more of Python.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::size_t offset, const std::string& name)
      : text_(text), offset_(offset), name_(name) {}

  NpyHeader read() {
    if (text_.empty() || text_.back() != '\n')
      stop(text_.size(), "the header must end with a newline");
    take('{', "the header must be a dictionary");
    while (!is_next('}')) {
      read_entry();
      if (!is_next('}')) take(',', "expected ',' or '}' after a value");
    }
    ++at_;
    for (; at_ < text_.size() - 1; ++at_)
      if (text_[at_] != ' ') stop(at_, "only spaces may follow the dictionary");
    require(found_.type.has_value(), "descr");
    require(found_.fortran_order.has_value(), "fortran_order");
    require(found_.shape.has_value(), "shape");
    return {*found_.type, std::move(*found_.shape)};
  }

 private:
  [[noreturn]] void stop(std::size_t at, const std::string& reason) const {
    fail_npy(name_, offset_ + at, reason);
  }
  void require(bool given, std::string_view key) const {
    if (!given) stop(0, fmt::format("the header lacks the key '{}'", key));
  }
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool is_next(char letter) {
    skip_spaces();
    return at_ < text_.size() && text_[at_] == letter;
  }
  void take(char letter, std::string_view reason) {
    if (!is_next(letter))
      stop(at_, fmt::format("{}, not {}", reason, npy_quoted(text_.substr(at_))));
    ++at_;
  }

  std::string_view read_string(std::string_view what) {
    skip_spaces();
    const char quote = at_ < text_.size() ? text_[at_] : ' ';
    if (quote != '\'' && quote != '"')
      stop(at_,
           fmt::format("{} must be a quoted text, not {}", what, npy_quoted(text_.substr(at_))));
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) stop(at_, "a quoted text without an end");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }

  void read_entry() {
    skip_spaces();
    const std::size_t key_at = at_;
    const std::string key(read_string("a key"));
    take(':', "expected ':' after a key");
    skip_spaces();
    if (key == "descr") {
      refuse_twice(found_.type.has_value(), key, key_at);
      found_.type = read_type();
    } else if (key == "fortran_order") {
      refuse_twice(found_.fortran_order.has_value(), key, key_at);
      found_.fortran_order = read_order();
    } else if (key == "shape") {
      refuse_twice(found_.shape.has_value(), key, key_at);
      found_.shape = read_shape();
    } else {
      const std::vector<std::string> valid{"descr", "fortran_order", "shape"};
      stop(key_at, "unknown key " + npy_quoted(key) + name_help(key, valid));
    }
  }
  void refuse_twice(bool given, const std::string& key, std::size_t at) const {
    if (given) stop(at, fmt::format("the key '{}' stands twice", key));
  }

  NpyType read_type() {
    const std::size_t at = at_;
    if (is_next('['))
      stop(at, "structured elements (a list as descr) are not read; store plain numbers");
    const std::string_view descr = read_string("descr");
    std::vector<std::string> valid;
    valid.reserve(kTypes.size());
    for (const TypeName& entry : kTypes) {
      valid.emplace_back(entry.name);
      const std::string_view known(entry.name);
      // A one-byte element has no byte order, whichever of the two is written.
      const bool same_mark =
          descr.starts_with(known[0]) || (entry.size == 1 && descr.starts_with('<'));
      if (same_mark && known.substr(1) == descr.substr(1)) return entry.type;
    }
    std::string reason = "element type " + npy_quoted(descr) + " is not read";
    if (descr.starts_with('>')) reason += " (big-endian)";
    if (descr.find('O') != std::string_view::npos) reason += " (objects are a pickle)";
    stop(at, reason + name_help(descr, valid));
  }

  bool read_order() {
    const std::size_t at = at_;
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      if (value)
        stop(at,
             "fortran_order is True: column-major arrays are not read; store "
             "numpy.ascontiguousarray(a)");
      return value;
    }
    stop(at, "fortran_order must be True or False, not " + npy_quoted(text_.substr(at)));
  }

  std::vector<std::int64_t> read_shape() {
    take('(', "shape must be a tuple");
    std::vector<std::int64_t> shape;
    bool comma = true;  // between numbers, and after the only one of a tuple of one
    while (!is_next(')')) {
      if (!comma) stop(at_, "expected ',' or ')' in the shape");
      if (shape.size() == kMaxDimensions)
        stop(at_, fmt::format("a shape of more than {} dimensions", kMaxDimensions));
      shape.push_back(read_dimension());
      comma = is_next(',');
      if (comma) ++at_;
    }
    if (shape.size() == 1 && !comma) stop(at_, "a tuple of one needs its comma: (n,)");
    ++at_;
    return shape;
  }

  std::int64_t read_dimension() {
    const std::size_t at = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        stop(at, "a dimension beyond 2^63");
    if (at_ == at)
      stop(at,
           "a dimension must be a whole number of 0 or more, not " + npy_quoted(text_.substr(at)));
    return value;
  }

  std::string_view text_;
  std::size_t offset_;
  const std::string& name_;
  std::size_t at_ = 0;
  FoundKeys found_;
};

}  // namespace

std::size_t npy_size(NpyType type) { return entry_of(type).size; }
std::string to_text(NpyType type) { return entry_of(type).name; }

void fail_npy(const std::string& name, std::size_t offset, const std::string& reason) {
  throw InputError(fmt::format("{}: byte {}: {}", name, offset, reason));
}

std::string npy_quoted(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string out = "\"";
  for (const char letter : text.substr(0, kShown)) {
    const bool plain = letter >= ' ' && letter <= '~';
    out += plain ? std::string(1, letter)
                 : fmt::format("\\x{:02x}", static_cast<unsigned char>(letter));
  }
  return out + (text.size() > kShown ? "...\"" : "\"");
}

NpyHeader read_npy_header(std::string_view text, std::size_t offset, const std::string& name) {
  return HeaderReader(text, offset, name).read();
}

}  // namespace moesim
