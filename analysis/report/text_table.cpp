// Wraps and aligns cells by code points, so that "us" and "µs" line up alike.
#include "analysis/report/text_table.h"

#include <algorithm>
#include <sstream>

namespace moesim {
namespace {

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

std::size_t length(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

// Where the character number `characters` begins.
std::size_t offset_of(const std::string& text, std::size_t characters) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (starts_character(text[i]) && seen++ == characters) return i;
  return text.size();
}

std::string aligned(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, length(text)), ' ');
  return right ? blanks + text : text + blanks;
}

using Cells = std::vector<std::vector<std::string>>;  // [column][line]

void add_lines(const std::vector<TextColumn>& columns,
               const std::vector<std::size_t>& widths,
               const Cells& cells,
               std::string& table) {
  std::size_t lines = 0;
  for (const auto& cell : cells) lines = std::max(lines, cell.size());
  for (std::size_t i = 0; i < lines; ++i) {
    std::string line;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const std::string text = i < cells[c].size() ? cells[c][i] : "";
      line += (c == 0 ? "" : "  ") + aligned(text, widths[c], columns[c].right);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
}

}  // namespace

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  width = std::max<std::size_t>(width, 1);  // a column of no width would wrap for ever
  std::vector<std::string> lines;
  std::string line;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!line.empty() && length(line) + 1 + length(word) > width) {
      lines.push_back(line);
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    while (length(line) > width) {
      const std::size_t cut = offset_of(line, width);
      lines.push_back(line.substr(0, cut));
      line.erase(0, cut);
    }
  }
  if (!line.empty() || lines.empty()) lines.push_back(line);
  return lines;
}

std::string text_table(const std::vector<TextColumn>& columns,
                       const std::vector<std::vector<std::string>>& rows) {
  std::vector<Cells> wrapped_rows;
  std::vector<std::size_t> widths(columns.size(), 0);
  Cells head;
  for (const TextColumn& column : columns) head.push_back(wrapped(column.head, column.widest));
  wrapped_rows.push_back(head);
  for (const auto& row : rows) {
    Cells cells;
    for (std::size_t c = 0; c < columns.size(); ++c)
      cells.push_back(wrapped(row[c], columns[c].widest));
    wrapped_rows.push_back(cells);
  }
  for (const Cells& cells : wrapped_rows)
    for (std::size_t c = 0; c < columns.size(); ++c)
      for (const std::string& line : cells[c]) widths[c] = std::max(widths[c], length(line));

  std::string table;
  add_lines(columns, widths, wrapped_rows[0], table);
  std::size_t total = 2 * (columns.size() - 1);
  for (const std::size_t width : widths) total += width;
  table += std::string(total, '-') + "\n";
  for (std::size_t r = 1; r < wrapped_rows.size(); ++r)
    add_lines(columns, widths, wrapped_rows[r], table);
  return table;
}

}  // namespace moesim
