// A table of words for a terminal: cells wrap inside their column, columns line up.
#pragma once

#include <string>
#include <vector>

namespace moesim {

struct TextColumn {
  std::string head;
  std::size_t widest =
      40;  // characters, at least 1; longer cells wrap at blanks, or anywhere in a long word
  bool right = true;  // alignment
};

// `rows` hold one cell a column. Lines end in a newline and carry no blanks at their end.
std::string text_table(const std::vector<TextColumn>& columns,
                       const std::vector<std::vector<std::string>>& rows);

// The text as lines of at most `width` characters (code points of UTF-8), broken at blanks where
// there is one.
std::vector<std::string> wrapped(const std::string& text, std::size_t width);

}  // namespace moesim
