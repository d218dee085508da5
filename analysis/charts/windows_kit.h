// A line a plan over the windows of the trace.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/result/result.h"

namespace moesim {

// Null where no point has at least two windows. `value_of` in the unit that `axis` names.
nlohmann::json over_windows(const StudyResult& study,
                            const std::string& axis,
                            const std::string& formatter,
                            const std::function<double(const WindowResult&)>& value_of);

}  // namespace moesim
