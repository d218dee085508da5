// A value that is worked out, not read, and still reports a place in a file.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sim/io/json_reader.h"

namespace moesim {

// `value` as a document of its own; a mistake in it is reported where `origin` stands.
JsonNode made_at(const JsonNode& origin, const nlohmann::json& value);

}  // namespace moesim
