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

std::string to_text(const CommandLine& line) {
  std::string text = "./moesim " + line.command + " " + quoted(line.scenario);
  for (const std::string& word : line.options) text += " " + quoted(word);
  for (const std::string& set : line.overrides) text += " --set " + quoted(set);
  if (line.outside == Outside::allowed) text += " --allow-outside";
  return text;
}

}  // namespace moesim
