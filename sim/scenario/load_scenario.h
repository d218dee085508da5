// One point's scenario from its JSON: the keys, their checks and defaults.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// `root` is a whole scenario; what spans a study in it (study_axes.h) is left alone. Relative paths
// in it start at `folder`. Throws InputError at the value that is wrong, also for plans that the
// model or the cluster cannot hold.
Scenario load_scenario(const JsonNode& root, const std::string& folder);

// A path in the scenario starts from `folder`, one given by --set from where the user is.
// InputError where nothing is there, or where the document may not read (sim/io/json_path.h).
std::string existing_path(const JsonNode& node, const std::string& folder);

// The folder or name load_model understands: "reference" is the shipped model's folder.
std::string resolve_model(const std::string& name, const std::string& folder);
std::string read_model(const JsonNode& node, const std::string& folder);  // of the name in `node`

}  // namespace moesim
