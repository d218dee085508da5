// Validation: every record of a file predicted and compared, and what the errors come to.
#pragma once

#include <string>
#include <vector>

#include "sim/validate/prediction.h"

namespace moesim {

struct ValidatedRecord {
  MeasurementRecord record;
  Prediction prediction;
  double error = 0;  // predicted time / measured time - 1: positive = too slow
  // The same of the two models without a simulator; NaN where there is none.
  double line_rate_error = 0, uniform_error = 0;
};

struct UnmappedRecord {
  MeasurementRecord record;
  std::string reason;
};

struct Validation {
  std::string records_file;
  std::vector<ValidatedRecord> records;  // in file order
  std::vector<UnmappedRecord> unmapped;
};

// Errors of some records. Medians and means are of absolute errors, worst has its sign.
struct ErrorSummary {
  std::string name;
  std::size_t records = 0;
  double median = 0, mean = 0, worst = 0;
  double line_rate_median = 0, uniform_median = 0;  // of the two other models; NaN without records
  std::string worst_id;
};

enum class SummaryBy { algorithm, testbed, split, accelerator, all };

// Predicts every record of `path`. Kinds without a RecordKind, and conditions that a simulation
// refuses, are unmapped with that reason. The
// line-rate model's constant is the median of what the records of the same Prediction::what and
// split "calibrate" (all, where there are none) take beyond it. InputError as read_records.
Validation validate_records(const std::string& path, const std::string& calibration);

// Sorted by name.
std::vector<ErrorSummary> summarise(const Validation& validation, SummaryBy by);

}  // namespace moesim
