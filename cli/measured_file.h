// A user's measured points, for compare.
#pragma once

#include <string>
#include <vector>

#include "analysis/compare/measured_points.h"

namespace moesim {

// A table with the columns metric and value, the value with its unit ("12.3 ms", "1,234" for rates
// and ratios). InputError with file, line and column.
std::vector<MeasuredPoint> read_measured(const std::string& path);

}  // namespace moesim
