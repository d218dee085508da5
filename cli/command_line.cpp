// Words quoted where a shell would take them apart.
#include "cli/command_line.h"

#include <algorithm>
#include <cctype>

namespace moesim {
namespace {

bool is_plain(const std::string& word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_./,:=+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::string quoted(const std::string& word) {
  if (is_plain(word)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string command_line(const std::string& command, const std::vector<std::string>& words) {
  std::string line = "./moesim " + command;
  for (const std::string& word : words) line += " " + quoted(word);
  return line;
}

void add_overrides(std::vector<std::string>& words, const std::vector<std::string>& overrides) {
  for (const std::string& override : overrides) {
    words.emplace_back("--set");
    words.push_back(override);
  }
}

}  // namespace moesim
