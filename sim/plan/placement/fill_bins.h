// Items into bins of equal room for the largest sum of gains: a transportation problem, solved
// exactly.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

// gain[item x bins + bin]; items = bins x room. The bin of each item, deterministic. Successive
// shortest paths between bins from the best bin of each item (Ahuja, Magnanti and Orlin, Network
// Flows, 9.7); integers, so that no rounding makes a cycle look like a gain.
std::vector<std::size_t> fill_bins(std::span<const std::int64_t> gain, std::size_t bins);

}  // namespace moesim
