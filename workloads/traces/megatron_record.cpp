// A SAX handler: the indices go straight into the record.
#include "workloads/traces/megatron_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "workloads/traces/recorded_rows.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr std::size_t kMostDepth = 64;
constexpr std::size_t kRowDepth = 3;  // of an index: object, list of rows, row

class Handler : public nlohmann::json_sax<json> {
 public:
  Handler(MegatronRecord& record, const Location& where, int experts)
      : record_(record), where_(where), experts_(experts) {}

  bool null() override { return other("null"); }
  bool boolean(bool /*value*/) override { return other("a boolean"); }
  bool number_integer(number_integer_t value) override { return integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kMost = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    return integer(static_cast<std::int64_t>(std::min(value, kMost)));
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override { return other(text); }
  bool string(string_t& value) override {
    if (depth_ == 1 && key_ == "block") {
      record_.block = value;
      return true;
    }
    return other("a text");
  }
  bool binary(binary_t& /*value*/) override { return other("binary data"); }

  bool start_object(std::size_t /*size*/) override {
    if (depth_ == 0) return open();
    return other("an object") && open();
  }
  bool end_object() override { return close(); }

  bool start_array(std::size_t /*size*/) override {
    if (depth_ == 0) fail("the line is a list, expected an object");
    if (!in_indices()) {
      if (!is_number(key_)) return open();
      fail("is a list, expected a whole number");
    }
    if (depth_ >= kRowDepth) fail(fmt::format("[{}] holds a list", rows_));
    if (depth_ == kRowDepth - 1) row_begin_ = record_.experts.size();
    return open();
  }

  bool end_array() override {
    close();
    if (!in_indices() || depth_ != kRowDepth - 1) return true;
    const std::size_t length = record_.experts.size() - row_begin_;
    if (rows_ == 0) row_length_ = length;
    if (length != row_length_)
      fail(fmt::format("[{}] has {} indices, [0] has {}", rows_, length, row_length_));
    ++rows_;
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    key_ = name;
    if (std::find(keys_.begin(), keys_.end(), name) != keys_.end()) fail("duplicate key");
    keys_.push_back(name);
    return true;
  }

  bool parse_error(std::size_t position,
                   const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    std::string what = error.what();
    if (const auto colon = what.find(": syntax error"); colon != std::string::npos)
      what = what.substr(colon + 2);
    Location place = where_;
    place.column = static_cast<int>(std::max<std::size_t>(position, 1));
    throw InputError(place, "not valid JSON: " + what);
  }

  void finish() {
    key_.clear();
    for (const char* needed : {"step", "layer", "rank", "num_tokens", "topk", "top_indices"})
      if (std::find(keys_.begin(), keys_.end(), needed) == keys_.end())
        fail(fmt::format("lacks \"{}\"", needed));
    if (rows_ != record_.tokens || (rows_ > 0 && row_length_ != record_.top_k))
      fail(fmt::format("top_indices is {} x {}, but num_tokens x topk {} x {}", rows_, row_length_,
                       record_.tokens, record_.top_k));
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    Location place = where_;
    place.key = key_;
    throw InputError(place, message);
  }

  static bool is_number(std::string_view key) {
    return key == "step" || key == "layer" || key == "rank" || key == "num_tokens" || key == "topk";
  }
  bool in_indices() const { return key_ == "top_indices"; }

  bool open() {
    if (++depth_ > kMostDepth) fail(fmt::format("nested deeper than {}", kMostDepth));
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  // A value of another type than the keys we read have: wrong there, passed over elsewhere.
  bool other(const std::string& what) {
    if (depth_ == 0) fail("the line is " + what + ", expected an object");
    if (in_indices()) fail(fmt::format("[{}] holds {}, expected whole numbers", rows_, what));
    if (depth_ == 1 && is_number(key_)) fail("is " + what + ", expected a whole number");
    return true;
  }

  std::int64_t in_range(std::int64_t value, std::int64_t most) const {
    if (value < 0 || value > most) fail(fmt::format("is {}, allowed: 0 to {}", value, most));
    return value;
  }

  bool integer(std::int64_t value) {
    if (depth_ == 0) fail("the line is a number, expected an object");
    if (in_indices()) return index(value);
    if (depth_ != 1) return true;
    constexpr std::int64_t kMostStep = std::int64_t{1} << 40U;
    constexpr std::int64_t kMost = std::int64_t{1} << 20U;
    if (key_ == "step") record_.step = in_range(value, kMostStep);
    if (key_ == "layer") record_.layer = static_cast<int>(in_range(value, kMost));
    if (key_ == "rank") record_.rank = static_cast<std::int32_t>(in_range(value, kMost));
    if (key_ == "num_tokens")
      record_.tokens = static_cast<std::size_t>(in_range(value, std::int64_t{1} << 31U));
    if (key_ == "topk") record_.top_k = static_cast<std::size_t>(in_range(value, kMost));
    return true;
  }

  bool index(std::int64_t value) {
    if (depth_ != kRowDepth) fail("expected a list of lists of indices");
    std::uint16_t expert = kNotRouted;
    if (!recorded_expert(value, experts_, expert))
      fail(fmt::format("[{}][{}] is expert {}, {}", rows_, record_.experts.size() - row_begin_,
                       value, allowed_experts(experts_)));
    record_.experts.push_back(expert);
    return true;
  }

  MegatronRecord& record_;
  const Location& where_;
  int experts_;
  std::size_t depth_ = 0, rows_ = 0, row_begin_ = 0, row_length_ = 0;
  std::string key_;
  std::vector<std::string> keys_;
};

}  // namespace

MegatronRecord read_megatron_record(std::string_view line, const Location& where, int experts) {
  MegatronRecord record;
  Handler handler(record, where, experts);
  json::sax_parse(line.begin(), line.end(), &handler);
  handler.finish();
  return record;
}

}  // namespace moesim
