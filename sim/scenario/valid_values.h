// What may stand in place of a value that is wrong.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "sim/scenario/observed_schema.h"

namespace moesim {

// What may have been meant: the nearest name, a number that was put in quotes, the end of a range.
std::vector<nlohmann::json> likely_values(const SchemaNode& node, const nlohmann::json& value);

// "4" means 4, and nothing else.
bool is_unquoted(const nlohmann::json& meant, const nlohmann::json& value);

// What samples have there, other than `wrong` (null: it is missing).
std::vector<nlohmann::json> sample_values(const SchemaNode& node, const nlohmann::json* wrong);

// Of an object that breaks a rule, only those parts that are wrong by themselves, or needed: they
// are still to be found.
nlohmann::json wrong_parts(const SchemaNode& node, const nlohmann::json& value);

}  // namespace moesim
