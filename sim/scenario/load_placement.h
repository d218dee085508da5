// The "placement" of a scenario's plan.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// A strategy's name; {"file": path}: a placement as moesim place, SGLang or vLLM write it; or
// {"strategy": name, "previous": path}: the strategy is told what is in place. scenario.plan has
// all but its placement. InputError with the file's place and key where a file does not fit the
// model and the plan; whether it has the trace's layers is checked when the trace is known.
void read_placement_choice(const JsonNode& node,
                           const std::string& folder,
                           const MoeModel& model,
                           Scenario& scenario);

}  // namespace moesim
