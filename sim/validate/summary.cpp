// Errors of predictions against records.
#include "sim/validate/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <variant>

#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double relative(Seconds predicted, Seconds measured) { return predicted / measured - 1; }

// By Prediction::what: the constant of the line-rate model, s.
std::map<std::string, double> line_rate_constants(const std::vector<ValidatedRecord>& records) {
  std::map<std::string, std::vector<double>> fitted, all;
  for (const ValidatedRecord& one : records) {
    const double beyond = (one.prediction.measured - one.prediction.at_line_rate).count();
    all[one.prediction.what].push_back(beyond);
    if (one.record.split == "calibrate") fitted[one.prediction.what].push_back(beyond);
  }
  std::map<std::string, double> constants;
  for (const auto& [what, values] : all) {
    const auto found = fitted.find(what);
    constants[what] = median(found == fitted.end() ? values : found->second);
  }
  return constants;
}

std::string name_of(const ValidatedRecord& one, SummaryBy by) {
  switch (by) {
    case SummaryBy::algorithm:
      return one.prediction.what;
    case SummaryBy::testbed:
      return one.record.testbed;
    case SummaryBy::split:
      return one.record.split;
    case SummaryBy::accelerator:
      return text_of(*one.record.typed, "accelerator", "not stated");
    case SummaryBy::all:
      break;
  }
  return "all";
}

ErrorSummary summary_of(const std::string& name,
                        const std::vector<const ValidatedRecord*>& records) {
  ErrorSummary summary;
  summary.name = name;
  summary.records = records.size();
  std::vector<double> errors, line_rate, uniform;
  for (const ValidatedRecord* one : records) {
    errors.push_back(std::abs(one->error));
    if (std::isfinite(one->line_rate_error)) line_rate.push_back(std::abs(one->line_rate_error));
    if (std::isfinite(one->uniform_error)) uniform.push_back(std::abs(one->uniform_error));
    if (std::abs(one->error) >= std::abs(summary.worst)) {
      summary.worst = one->error;
      summary.worst_id = one->record.id;
    }
  }
  summary.mean =
      std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
  summary.median = median(std::move(errors));
  summary.line_rate_median = median(std::move(line_rate));
  summary.uniform_median = median(std::move(uniform));
  return summary;
}

// A record of others that cannot be simulated is no reason to keep the rest from being.
std::variant<Prediction, Unmapped> predict_or_say_why(const RecordKind& kind,
                                                      const MeasurementRecord& record,
                                                      const std::string& calibration) {
  try {
    auto outcome = kind.predict(record, calibration);
    if (const auto* prediction = std::get_if<Prediction>(&outcome)) {
      for (const Seconds time : {prediction->predicted, prediction->measured})
        if (!(time.count() > 0) || !std::isfinite(time.count()))
          return Unmapped{"the figure stands for no time: its conditions move no bytes"};
    }
    return outcome;
  } catch (const InputError& error) {
    return Unmapped{error.what()};
  }
}

void predict(MeasurementRecord record, const std::string& calibration, Validation& validation) {
  if (!record.typed) {
    std::string reason = record.unmapped_reason;
    validation.unmapped.push_back({std::move(record), std::move(reason)});
    return;
  }
  const std::string kind = record.typed->at("kind").as_string();
  const auto& kinds = Catalog<RecordKind>::instance().entries();
  const auto found = kinds.find(kind);
  if (found == kinds.end()) {
    validation.unmapped.push_back(
        {std::move(record), "kind \"" + kind + "\" has no simulation yet"});
    return;
  }
  auto outcome = predict_or_say_why(found->second.part, record, calibration);
  if (const auto* unmapped = std::get_if<Unmapped>(&outcome)) {
    validation.unmapped.push_back({std::move(record), unmapped->reason});
    return;
  }
  validation.records.push_back({std::move(record), std::get<Prediction>(std::move(outcome))});
}

}  // namespace

Validation validate_records(const std::string& path, const std::string& calibration) {
  Validation validation;
  validation.records_file = path;
  for (MeasurementRecord& record : read_records(path))
    predict(std::move(record), calibration, validation);
  const auto constants = line_rate_constants(validation.records);
  for (ValidatedRecord& one : validation.records) {
    const Prediction& prediction = one.prediction;
    one.error = relative(prediction.predicted, prediction.measured);
    one.line_rate_error = relative(prediction.at_line_rate + Seconds(constants.at(prediction.what)),
                                   prediction.measured);
    one.uniform_error = relative(prediction.uniform, prediction.measured);
  }
  return validation;
}

std::vector<ErrorSummary> summarise(const Validation& validation, SummaryBy by) {
  std::map<std::string, std::vector<const ValidatedRecord*>> groups;
  for (const ValidatedRecord& one : validation.records) groups[name_of(one, by)].push_back(&one);
  std::vector<ErrorSummary> summaries;
  for (const auto& [name, records] : groups) summaries.push_back(summary_of(name, records));
  return summaries;
}

}  // namespace moesim
