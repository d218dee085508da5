// The rows that the text and the page of a validation share.
#pragma once

#include <string>
#include <vector>

#include "sim/validate/summary.h"

namespace moesim {

using Cells = std::vector<std::string>;

const std::vector<std::string>& summary_heads();  // of summary_rows: what, records, median, ...
std::vector<Cells> summary_rows(const std::vector<ErrorSummary>& summaries);

const std::vector<std::string>& record_heads();
std::vector<Cells> record_rows(const Validation& validation);

// Reasons with how many records and their names, `most` of them.
std::vector<Cells> unmapped_rows(const Validation& validation, std::size_t most);

// Test beds, the largest median error first.
std::vector<ErrorSummary> worst_beds_first(const Validation& validation);

std::string percent(double ratio);         // "3.1 %", "-" for NaN
std::string signed_percent(double ratio);  // "+3.1 %"

}  // namespace moesim
