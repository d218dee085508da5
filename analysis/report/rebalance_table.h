// What rebalancing cost and gained, as a table for a terminal.
#pragma once

#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

// One row a point that has rebalanced: means over its rebalances; "" where none has.
std::string rebalance_table(const StudyResult& study);

// "every 2: rebalanced 9 times, ... pays back after 2,600 steps", of each such point.
std::vector<std::string> rebalance_lines(const StudyResult& study);

}  // namespace moesim
