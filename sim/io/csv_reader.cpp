// Splits lines into cells.
#include "sim/io/csv_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "sim/io/files.h"

namespace moesim {
namespace {

// Cells of one line; a quoted cell may hold commas and doubled quotes.
std::vector<CsvCell> split(const std::string& line, const Location& start) {
  std::vector<CsvCell> cells;
  std::size_t at = 0;
  while (true) {
    CsvCell cell{"", start};
    cell.where.column = static_cast<int>(at) + 1;
    bool quoted = at < line.size() && line[at] == '"';
    if (quoted) ++at;
    for (; at < line.size() && (quoted || line[at] != ','); ++at) {
      if (line[at] != '"') {
        cell.text += line[at];
      } else if (at + 1 < line.size() && line[at + 1] == '"') {
        cell.text += line[++at];
      } else {
        quoted = false;
      }
    }
    if (quoted) cell.fail("a quote is opened and not closed");
    cells.push_back(std::move(cell));
    if (at >= line.size()) return cells;
    ++at;
  }
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
    std::vector<CsvCell> cells = split(line, at);
    if (table.heads.empty()) {
      for (const CsvCell& cell : cells) table.heads.push_back(cell.text);
      continue;
    }
    if (cells.size() != table.heads.size())
      cells.front().fail(std::to_string(cells.size()) + " cells under a header of " +
                         std::to_string(table.heads.size()));
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i].where.key = table.heads[i];
    table.rows.emplace_back(table.heads, std::move(cells));
  }
  if (table.heads.empty()) throw InputError({path, 1, 1}, "the table has no header");
}

}  // namespace moesim
