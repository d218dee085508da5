// The bake-off of plans as a table and sentences, for a terminal and for the page.
#pragma once

#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

struct BakeOffTable {
  std::vector<std::string> heads;
  std::vector<std::vector<std::string>> rows;  // ranked, best first
};

// Moves are counted from the first point's plan, the one before. planning: wall seconds by point,
// empty where they are not known.
BakeOffTable bake_off_table(const StudyResult& study, const std::vector<double>& planning);

// Who beats whom, how sure; then how the best differs from the plan before (or, where that is the
// best, the second from it).
std::vector<std::string> bake_off_lines(const StudyResult& study);

}  // namespace moesim
