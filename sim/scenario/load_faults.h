// The key faults of a scenario.
#pragma once

#include <vector>

#include "sim/cluster/fault.h"
#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// A list of {"kind", "at" ("start", the default, or a time since the first step began), and "link",
// "rank" or "factor" as the kind wants}, in the order in which they take effect. InputError at the
// value that is wrong.
std::vector<Fault> read_faults(const JsonNode& node, int ranks);

// Applies the scenario's faults one after another to its pool, experts not yet placed: InputError
// where apply_fault has one. Builds the cluster and walks its paths: seconds at 4096 ranks.
void check_faults(const Scenario& scenario);

}  // namespace moesim
