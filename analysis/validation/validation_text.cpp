// The validation for a terminal.
#include <fmt/format.h>

#include "analysis/report/text_table.h"
#include "analysis/validation/validation_report.h"
#include "analysis/validation/validation_tables.h"

namespace moesim {
namespace {

std::string table(const std::vector<std::string>& heads, const std::vector<Cells>& rows) {
  std::vector<TextColumn> columns;
  columns.reserve(heads.size());
  for (const std::string& head : heads) columns.push_back({head, 34, !columns.empty()});
  return text_table(columns, rows);
}

std::string summary(const char* title, const std::vector<ErrorSummary>& summaries) {
  std::vector<std::string> heads = summary_heads();
  heads.front() = title;
  return table(heads, summary_rows(summaries)) + "\n";
}

std::string unmapped(const Validation& validation, bool each) {
  if (validation.unmapped.empty()) return "";
  std::vector<TextColumn> columns{
      {"not simulated, because", 44, false}, {"records", 8}, {"", 60, false}};
  return text_table(columns, unmapped_rows(validation, each ? validation.unmapped.size() : 2)) +
         "\n";
}

}  // namespace

std::string validation_text(const Validation& validation, bool each) {
  std::string text = fmt::format("{}: {} records simulated, {} not\n\n", validation.records_file,
                                 validation.records.size(), validation.unmapped.size());
  if (each && !validation.records.empty()) {
    text += table(record_heads(), record_rows(validation)) + "\n";
  }
  text += unmapped(validation, each);
  if (validation.records.empty()) return text;
  text += summary("by exchange", summarise(validation, SummaryBy::algorithm));
  text += summary("by test bed", worst_beds_first(validation));
  text += summary("by accelerator", summarise(validation, SummaryBy::accelerator));
  text += summary("by split", summarise(validation, SummaryBy::split));
  text += summary("all", summarise(validation, SummaryBy::all));
  text +=
      "Errors are predicted over measured time - 1; median and mean of their size. Line rate +\n"
      "constant: bytes of the busiest port at line rate (of kernels: the datasheet's roofline) "
      "and\n"
      "one fitted constant an exchange.\n"
      "Uniform traffic: the same constants, token copies spread evenly, none de-duplicated.\n";
  return text;
}

}  // namespace moesim
