// The key cluster of a scenario.
#pragma once

#include "sim/cluster/cluster.h"
#include "sim/io/json_reader.h"

namespace moesim {

// Paths and copies are kept for every pair of ranks: 4096 ranks take about 0.5 GB, twice as many
// four times that.
inline constexpr std::int64_t kMostRanks = 4096;

// A preset and the keys that override it. InputError at the value that is wrong, also where the
// topology refuses it.
ClusterSpec read_cluster(const JsonNode& node);

}  // namespace moesim
