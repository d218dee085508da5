// What a scenario would take of this machine's memory, before any of it is allocated.
#pragma once

#include <cstdint>

#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// Of one table that a run holds as a whole.
inline constexpr Bytes kMostBytes{16.0 * (1LL << 30)};

// Paths and copies of a pair of ranks, measured over whole runs: 4096 ranks take about 0.5 GB.
inline constexpr Bytes kBytesPerPair{32};
inline constexpr std::int64_t kMostRanks = 4096;

// InputError at the key that asks for too much, with the bytes it would take and the bound: a
// synthetic trace by its tokens, layers and top-k, the batches of all steps and windows by their
// tokens.
void check_sizes(const JsonNode& root, const Scenario& scenario);

// InputError at `node`: more than kMostRanks.
void check_ranks(const JsonNode& node, std::int64_t ranks);

// InputError at `node`, an axis of `steps` values after axes of `before` points, for more than
// `most` points of a study whose file is `root`.
void check_points(
    const JsonNode& node, const JsonNode& root, double steps, double before, double most);

}  // namespace moesim
