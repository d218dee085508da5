// What `moesim validate` prints and writes.
#pragma once

#include <string>

#include "sim/validate/summary.h"

namespace moesim {

// Errors by algorithm, test bed and split, the worst first among test beds; with every record when
// `each`; then the records that no simulation stands for, by reason.
std::string validation_text(const Validation& validation, bool each);

// The same as a page of docs, with `figure` (a file beside it) in it.
std::string validation_markdown(const Validation& validation, const std::string& figure);

std::string validation_json(
    const Validation& validation);  // summaries and every record; errors are ratios
std::string validation_csv(const Validation& validation);  // one row a record, RFC 4180

// Predicted against measured time, both on log axes, a colour an algorithm; lines at equal, 15 %
// off and twice.
std::string validation_svg(const Validation& validation);

}  // namespace moesim
