// Configurations that Python's json module wrote, which is JSON with a few words more.
#pragma once

#include <string>

#include "sim/io/json_reader.h"

namespace moesim {

// As read_json_file, but Python's Infinity, which is no JSON, is read as the number 1e308 (Mamba
// models have "time_step_limit": [0.0, Infinity]). NaN stays a syntax error.
JsonNode read_python_json_file(const std::string& path);

}  // namespace moesim
