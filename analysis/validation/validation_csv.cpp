// The validation as a table for other programs.
#include <fmt/format.h>

#include "analysis/validation/validation_report.h"

namespace moesim {
namespace {

std::string quoted(const std::string& text) {
  std::string cell = "\"";
  for (const char letter : text) {
    if (letter == '"') cell += '"';
    cell += letter;
  }
  return cell + "\"";
}

}  // namespace

std::string validation_csv(const Validation& validation) {
  std::string text =
      "id,testbed,split,exchange,conditions,unit,predicted,measured,error,line_rate_error,"
      "uniform_error,predicted_us,measured_us,basis,source\n";
  for (const ValidatedRecord& one : validation.records) {
    const Prediction& prediction = one.prediction;
    text += fmt::format(
        "{},{},{},{},{},{},{:.6g},{:.6g},{:.4f},{:.4f},{:.4f},{:.6g},{:.6g},{},{}\n",
        quoted(one.record.id), quoted(one.record.testbed), quoted(one.record.split),
        quoted(prediction.what), quoted(prediction.conditions), prediction.unit, prediction.value,
        one.record.typed->at("value").as_number(), one.error, one.line_rate_error,
        one.uniform_error, prediction.predicted.count() * 1e6, prediction.measured.count() * 1e6,
        quoted(to_text(prediction.basis)), quoted(one.record.source));
  }
  return text;
}

}  // namespace moesim
