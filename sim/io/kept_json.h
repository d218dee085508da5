// JSON documents that are read again and again: parsed once a process.
#pragma once

#include <string>

#include "sim/io/json_reader.h"

namespace moesim {

// As read_json_file, but a file that has kept its size and time of change is not read again. Safe
// from several threads; processes forked later have what this one has read.
JsonNode kept_json_file(const std::string& path);

// Every *.json of a folder, so that processes forked later need not.
void keep_json_files(const std::string& folder);

}  // namespace moesim
