// What trace_stats.cpp puts together: counts of loads and first choices, and shares of pairs.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "sim/trace/request_rows.h"
#include "sim/trace/trace_stats.h"

namespace moesim {

using RowPair = std::pair<std::uint32_t, std::uint32_t>;

// For every row the row of the request's next position, kNoRow where there is none.
inline constexpr std::uint32_t kNoRow = std::numeric_limits<std::uint32_t>::max();
std::vector<std::uint32_t> next_rows(const RoutingTrace& trace, const RequestRows& requests);

// First choices of neighbouring tokens in one MoE layer: how often each expert stood before and
// after, and how often both were the same.
struct FirstChoices {
  std::vector<std::uint64_t> before, after;  // by expert
  std::uint64_t same = 0;
};

struct TraceCounts {
  TraceLoads loads;
  std::vector<FirstChoices> first_choices;  // by MoE layer; empty when no next rows were given
};
// One pass over the rows, shared out to threads in blocks. `next` is next_rows, or empty.
TraceCounts count_trace(const RoutingTrace& trace,
                        std::span<const std::uint32_t> next,
                        int threads);

// The pairs of one layer that are counted: of (row, row) and of (row, next row).
struct PairStats {
  DependenceStats covered;
  double hottest = 0;
};
struct PairRows {
  std::vector<RowPair> itself, neighbours;
};
PairRows sampled_pairs(const RoutingTrace& trace, std::span<const std::uint32_t> next);
PairStats pair_stats(const RoutingTrace& trace,
                     std::span<const RowPair> rows,
                     std::size_t layer,
                     std::size_t next_layer);

}  // namespace moesim
