// Error texts: location prefix, and the nearest valid name by edit distance.
#include "sim/core/error.h"

#include <algorithm>
#include <numeric>

namespace moesim {
namespace {

std::string located(const Location& where, const std::string& message) {
  std::string text = where.file;
  if (where.line > 0) text += ":" + std::to_string(where.line);
  if (where.line > 0 && where.column > 0) text += ":" + std::to_string(where.column);
  if (!text.empty()) text += ": ";
  if (!where.key.empty()) text += where.key + ": ";
  return text + message;
}

// Levenshtein distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

InputError::InputError(const std::string& message) : InputError(Location{}, message) {}

InputError::InputError(const Location& where, const std::string& message)
    : InputError(where, message, where) {}

InputError::InputError(const Location& where, const std::string& message, const Location& origin)
    : std::runtime_error(located(where, message)),
      places_(std::make_shared<const Places>(Places{where, origin, message})) {}

std::optional<std::string> nearest_name(std::string_view name,
                                        std::span<const std::string> choices) {
  std::optional<std::string> best;
  // More than a third of the letters wrong is another word, not a typing error.
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& choice : choices) {
    const std::size_t distance = edit_distance(name, choice);
    if (distance < best_distance) {
      best_distance = distance;
      best = choice;
    }
  }
  return best;
}

std::string name_help(std::string_view name, std::span<const std::string> choices) {
  std::string text;
  if (const auto nearest = nearest_name(name, choices))
    text += "; did you mean \"" + *nearest + "\"?";
  text += text.empty() ? "; valid: " : " Valid: ";
  for (std::size_t i = 0; i < choices.size(); ++i) text += (i == 0 ? "" : ", ") + choices[i];
  return text;
}

}  // namespace moesim
