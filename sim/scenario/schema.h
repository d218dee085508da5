// The schema of scenario files, as the loaders themselves tell it: they are watched while they load
// sample files (schema/samples), which between them have every key.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/scenario/observed_schema.h"

namespace moesim {

enum class ScenarioKind { serving, training };  // of `moesim run` and its like, of `moesim train`

// What files of this kind may say. MachineError where the samples are missing.
SchemaNode observe_samples(ScenarioKind kind);

// Keys that no sample has, dotted; none, or a schema says less than its loader takes.
std::vector<std::string> unseen_keys(const SchemaNode& schema);

// The dotted key of each place in a file, in order: "plan.placement", list elements as
// "faults[].rank", the user's own keys as "cluster.link_health.*".
std::vector<std::string> schema_keys(const SchemaNode& schema);

// As JSON Schema (draft-07), every key with its line from schema/keys.json.
nlohmann::json json_schema(ScenarioKind kind);

// Both schemas as tables for people: docs/keys.md.
std::string schema_page();

}  // namespace moesim
