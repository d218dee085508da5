// What faults did to a pool, as a table for a terminal.
#pragma once

#include <string>

#include "sim/result/result.h"

namespace moesim {

// One row a fault, of all points; "" where no point has any.
std::string fault_table(const StudyResult& study);

}  // namespace moesim
