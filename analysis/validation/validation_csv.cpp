// The validation as a table for other programs.
#include <fmt/format.h>

#include "analysis/report/csv.h"
#include "analysis/validation/validation_report.h"

namespace moesim {
std::string validation_csv(const Validation& validation) {
  std::string text =
      "id,testbed,split,exchange,conditions,unit,predicted,measured,error,line_rate_error,"
      "uniform_error,predicted_us,measured_us,basis,source\n";
  for (const ValidatedRecord& one : validation.records) {
    const Prediction& prediction = one.prediction;
    text += fmt::format(
        "{},{},{},{},{},{},{:.6g},{:.6g},{:.4f},{:.4f},{:.4f},{:.6g},{:.6g},{},{}\n",
        csv_cell(one.record.id), csv_cell(one.record.testbed), csv_cell(one.record.split),
        csv_cell(prediction.what), csv_cell(prediction.conditions), prediction.unit,
        prediction.value, one.record.typed->at("value").as_number(), one.error, one.line_rate_error,
        one.uniform_error, prediction.predicted.count() * 1e6, prediction.measured.count() * 1e6,
        csv_cell(to_text(prediction.basis)), csv_cell(one.record.source));
  }
  return text;
}

}  // namespace moesim
