// Infinity becomes a number of the same length, so that the places of all values stay.
#include "sim/io/python_json.h"

#include "sim/io/files.h"

namespace moesim {
namespace {

void replace_infinity(std::string& text) {
  constexpr std::string_view kName = "Infinity", kNumber = "1e308   ";
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in_string && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      in_string = !in_string;
    else if (!in_string && text.compare(i, kName.size(), kName) == 0)
      text.replace(i, kNumber.size(), kNumber);
  }
}

}  // namespace

JsonNode read_python_json_file(const std::string& path) {
  std::string text = read_text_file(path);
  replace_infinity(text);
  return read_json_text(text, path);
}

}  // namespace moesim
