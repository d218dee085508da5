// Rows of counts from JSON into a table of counts.
#pragma once

#include <string>
#include <vector>

#include "sim/io/json_reader.h"
#include "workloads/traces/expert_counts.h"

namespace moesim {

inline constexpr int kMostCountedExperts = 65534;

// Adds a domain whose layers are `rows`, each an array of counts by expert. The first sets the
// table's layers and experts; InputError (at `place` or the row) where another differs.
void add_count_rows(CountTable& table,
                    const std::string& domain,
                    const std::vector<JsonNode>& rows,
                    const JsonNode& place);

}  // namespace moesim
