// Which kind of mixer each layer has, in the spellings of the hub's configurations.
#pragma once

#include <string>
#include <vector>

#include "workloads/forward/config_reader.h"

namespace moesim {

// The list layer_types: by layer, whether it names `marked` rather than `other`; any other name and
// a list of another length than `layers` are refused. Absent: empty.
std::vector<bool> read_layer_types(ConfigReader& config,
                                   std::int64_t layers,
                                   const std::string& marked,
                                   const std::string& other);

// A list of 0 and 1, one a layer; InputError when the key is absent.
std::vector<bool> read_layer_flags(ConfigReader& config,
                                   const std::string& key,
                                   std::int64_t layers);

}  // namespace moesim
