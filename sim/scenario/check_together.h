// Keys that are right alone but not together.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// What pipelines, and experts in host memory, are not built for. InputError at the key that has to
// go.
void check_together(const JsonNode& root, const Scenario& scenario);

}  // namespace moesim
