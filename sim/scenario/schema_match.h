// Values against what was observed of their place.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sim/scenario/observed_schema.h"

namespace moesim {

// One of the ways to write a value there is `value`'s, with all that is in it.
bool matches(const SchemaNode& node, const nlohmann::json& value);

// `value` itself is of a kind that may stand there, whatever is in it.
bool matches_outside(const SchemaNode& node, const nlohmann::json& value);

}  // namespace moesim
