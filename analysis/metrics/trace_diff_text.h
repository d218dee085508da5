// The difference of two traces as text for a terminal and as JSON for programs.
#pragma once

#include <string>

#include "sim/trace/diff_traces.h"

namespace moesim {

// What differs first, column by column, then tables of how much: by layer and by layer and domain.
std::string diff_text(const TraceDifference& difference,
                      const std::string& a_name,
                      const std::string& b_name);

// The same figures as one JSON object; its keys are the struct's members.
std::string diff_json(const TraceDifference& difference,
                      const std::string& a_name,
                      const std::string& b_name);

}  // namespace moesim
