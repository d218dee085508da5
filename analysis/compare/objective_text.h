// Which points of a study meet its objective, in words.
#pragma once

#include <string>

#include "sim/result/result.h"

namespace moesim {

// "Within 50 ms (time per output token): 7 of 30 points; the fewest GPUs are 40 (5 nodes, ...), at
// ...; the most tokens a second and GPU ...", and the cheapest where GPUs have a price, or by how
// much the nearest one misses. "" for a study without an objective.
std::string objective_text(const StudyResult& study);

}  // namespace moesim
