// --layers a:b, as every command that runs a model's layers reads it.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <utility>

#include "sim/core/error.h"

namespace moesim {

// "a:b" is transformer layers a to b-1; an empty a is 0, an empty b all the rest (-1). InputError
// for anything else, and for a range that is empty.
inline std::pair<int, int> read_layer_range(const std::string& text) {
  const auto refuse = [&] {
    return InputError(fmt::format(
        "--layers {}: write a:b for the transformer layers a to b-1, such as 0:4, 4: or :4", text));
  };
  const auto number = [&](const std::string& word, int absent) {
    if (word.empty()) return absent;
    int value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || value < 0) throw refuse();
    return value;
  };
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || text.size() == 1) throw refuse();
  const int first = number(text.substr(0, colon), 0), end = number(text.substr(colon + 1), -1);
  if (end >= 0 && end <= first) throw refuse();
  return {first, end};
}

}  // namespace moesim
