// Tables with a header, as comma-separated values (RFC 4180); every cell knows its place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/core/error.h"

namespace moesim {

struct CsvCell {
  std::string text;
  Location where;  // key: the column's name

  [[noreturn]] void fail(const std::string& message) const;  // InputError at this place
  double as_number() const;  // finite and above 0, InputError otherwise
};

class CsvRow {
 public:
  CsvRow(const std::vector<std::string>& heads, std::vector<CsvCell> cells);
  const CsvCell& at(const std::string& head) const;  // InputError when there is no such column
  // nullptr when there is no such column or the cell is empty
  const CsvCell* find(const std::string& head) const;

 private:
  const std::vector<std::string>* heads_;
  std::vector<CsvCell> cells_;
};

struct CsvTable {
  std::string file;
  std::vector<std::string> heads;
  std::vector<CsvRow> rows;  // they point to heads: the table is not moved

  CsvTable() = default;
  CsvTable(const CsvTable&) = delete;
  CsvTable& operator=(const CsvTable&) = delete;
  bool has(const std::string& head) const;
};

// Reads into `table`. InputError: a missing file, no header, an open quote, a row with another
// number of cells than the header.
void read_csv(const std::string& path, CsvTable& table);

}  // namespace moesim
