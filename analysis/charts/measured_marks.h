// A user's measured points, laid over a chart.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace moesim {

// Adds to a chart with one pair of numeric axes the points of a CSV file with the columns "series",
// "x" and "y": a diamond each, in the colour of the curve of that name where there is one. On an
// axis of times values carry their unit ("1.2 ms"), else they are plain numbers in the axis's unit.
// InputError for a chart with other axes and, with line and column, for a value that cannot be.
void add_measured_marks(const std::string& csv_path, nlohmann::json& option);

}  // namespace moesim
