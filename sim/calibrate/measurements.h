// Logs and record files as measurements to fit on.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/fit.h"
#include "sim/calibrate/log_reader.h"

namespace moesim {

struct MeasurementSet {
  std::vector<MeasuredExchange> measurements;
  std::vector<std::string> notes;  // of the readers, and figures left out or in doubt
};

// Of every figure of the logs that constants can be fitted on. A figure whose ranks differ by more
// than 30 % of their mean is kept with less weight and noted. InputError: a log that no reader
// knows, conditions that are missing, logs without any usable figure.
MeasurementSet measurements_of_logs(const std::vector<std::string>& paths,
                                    const LogConditions& given);

// Of the records of split "calibrate", those of one accelerator ("H100") where it is not empty.
MeasurementSet measurements_of_records(const std::string& path, const std::string& accelerator);

// A figure in the keys of typed records.
std::string typed_text(const LoggedFigure& figure);

}  // namespace moesim
