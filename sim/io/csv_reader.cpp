// Splits lines into cells.
#include "sim/io/csv_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "sim/io/files.h"

namespace moesim {
namespace {

// The text of the cell that begins at `at`, which is left at the comma or the end behind it. A
// quoted cell may hold commas and doubled quotes.
std::string cell_text(const std::string& line, std::size_t& at, const Location& where) {
  std::string text;
  bool quoted = at < line.size() && line[at] == '"';
  if (quoted) ++at;
  for (; at < line.size() && (quoted || line[at] != ','); ++at) {
    const bool quote = line[at] == '"', doubled = quote && line.substr(at, 2) == "\"\"";
    if (!quote || doubled) text += line[at];
    if (doubled) ++at;
    if (quote && !doubled) quoted = false;
  }
  if (quoted) throw InputError(where, "a quote is opened and not closed");
  return text;
}

std::vector<CsvCell> split(const std::string& line, Location where) {
  std::vector<CsvCell> cells;
  for (std::size_t at = 0;; ++at) {
    where.column = static_cast<int>(at) + 1;
    const std::string text = cell_text(line, at, where);
    cells.push_back({text, where});
    if (at >= line.size()) return cells;
  }
}

void add_line(const std::string& line, const Location& where, CsvTable& table) {
  std::vector<CsvCell> cells = split(line, where);
  if (table.heads.empty()) {
    for (const CsvCell& cell : cells) table.heads.push_back(cell.text);
    return;
  }
  if (cells.size() != table.heads.size())
    cells.front().fail(std::to_string(cells.size()) + " cells under a header of " +
                       std::to_string(table.heads.size()));
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i].where.key = table.heads[i];
  table.rows.emplace_back(table.heads, std::move(cells));
}

}  // namespace

void CsvCell::fail(const std::string& message) const { throw InputError(where, message); }

double CsvCell::as_number() const {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value) || value <= 0)
    fail("\"" + text + "\" is no number above 0");
  return value;
}

CsvRow::CsvRow(const std::vector<std::string>& heads, std::vector<CsvCell> cells)
    : heads_(&heads), cells_(std::move(cells)) {}

const CsvCell* CsvRow::find(const std::string& head) const {
  const auto found = std::find(heads_->begin(), heads_->end(), head);
  if (found == heads_->end()) return nullptr;
  const CsvCell& cell = cells_[static_cast<std::size_t>(found - heads_->begin())];
  return cell.text.empty() ? nullptr : &cell;
}

const CsvCell& CsvRow::at(const std::string& head) const {
  if (const CsvCell* cell = find(head)) return *cell;
  const bool known = std::find(heads_->begin(), heads_->end(), head) != heads_->end();
  Location where = cells_.front().where;
  where.key = head;
  throw InputError(where, known ? "is empty" : "the table has no such column");
}

bool CsvTable::has(const std::string& head) const {
  return std::find(heads.begin(), heads.end(), head) != heads.end();
}

void read_csv(const std::string& path, CsvTable& table) {
  table.file = path;
  std::istringstream lines(read_text_file(path));
  std::string line;
  for (Location at{path}; std::getline(lines, line);) {
    ++at.line;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    add_line(line, at, table);
  }
  if (table.heads.empty()) throw InputError({path, 1, 1}, "the table has no header");
}

}  // namespace moesim
