// Rows of the validation tables.
#include "analysis/validation/validation_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace moesim {
namespace {

std::string value_text(double value, const std::string& unit) {
  return fmt::format("{:.{}f} {}", value, value < 100 ? 1 : 0, unit);
}

}  // namespace

std::string percent(double ratio) {
  return std::isfinite(ratio) ? fmt::format("{:.1f} %", 100 * ratio) : "-";
}

std::string signed_percent(double ratio) {
  return std::isfinite(ratio) ? fmt::format("{:+.1f} %", 100 * ratio) : "-";
}

const std::vector<std::string>& summary_heads() {
  static const std::vector<std::string> heads{
      "", "records", "median error", "mean", "worst", "line rate + constant", "uniform traffic"};
  return heads;
}

std::vector<Cells> summary_rows(const std::vector<ErrorSummary>& summaries) {
  std::vector<Cells> rows;
  rows.reserve(summaries.size());
  for (const ErrorSummary& one : summaries)
    rows.push_back({one.name, std::to_string(one.records), percent(one.median), percent(one.mean),
                    signed_percent(one.worst), percent(one.line_rate_median),
                    percent(one.uniform_median)});
  return rows;
}

const std::vector<std::string>& record_heads() {
  static const std::vector<std::string> heads{"record", "conditions", "predicted", "measured",
                                              "error",  "split",      "basis",     "source"};
  return heads;
}

std::vector<Cells> record_rows(const Validation& validation) {
  std::vector<Cells> rows;
  rows.reserve(validation.records.size());
  for (const ValidatedRecord& one : validation.records) {
    const Prediction& prediction = one.prediction;
    std::string conditions = prediction.what + ": " + prediction.conditions;
    if (!prediction.note.empty()) conditions += " (" + prediction.note + ")";
    rows.push_back({one.record.id, conditions, value_text(prediction.value, prediction.unit),
                    value_text(one.record.typed->at("value").as_number(), prediction.unit),
                    signed_percent(one.error), one.record.split, to_text(prediction.basis),
                    one.record.source});
  }
  return rows;
}

std::vector<Cells> unmapped_rows(const Validation& validation, std::size_t most) {
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const UnmappedRecord& one : validation.unmapped)
    by_reason[one.reason].push_back(one.record.id);
  std::vector<Cells> rows;
  rows.reserve(by_reason.size());
  for (const auto& [reason, ids] : by_reason) {
    std::string names;
    for (std::size_t i = 0; i < std::min(most, ids.size()); ++i)
      names += (names.empty() ? "" : ", ") + ids[i];
    if (ids.size() > most) names += fmt::format(" and {} more", ids.size() - most);
    rows.push_back({reason, std::to_string(ids.size()), names});
  }
  return rows;
}

std::vector<ErrorSummary> worst_beds_first(const Validation& validation) {
  std::vector<ErrorSummary> beds = summarise(validation, SummaryBy::testbed);
  std::stable_sort(beds.begin(), beds.end(), [](const ErrorSummary& a, const ErrorSummary& b) {
    return a.median > b.median;
  });
  return beds;
}

}  // namespace moesim
