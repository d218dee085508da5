// Cells of tables for spreadsheets and scripts (RFC 4180).
#pragma once

#include <string>

namespace moesim {

// The text as it stands in a row: in quotes where it holds a comma, a quote or a line's end.
std::string csv_cell(const std::string& text);

}  // namespace moesim
