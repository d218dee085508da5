// The key cluster of a scenario.
#pragma once

#include "sim/cluster/cluster.h"
#include "sim/io/json_reader.h"

namespace moesim {

// A preset and the keys that override it. InputError at the value that is wrong, also where the
// topology refuses it.
ClusterSpec read_cluster(const JsonNode& node);

}  // namespace moesim
