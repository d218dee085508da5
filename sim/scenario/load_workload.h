// Reads the "workload" part of a scenario, but for its trace.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/plan/batch.h"

namespace moesim {

// InputError at the value for a wrong type or range, and for keys that the phase does not use.
WorkloadSpec read_workload(const JsonNode& node);

}  // namespace moesim
