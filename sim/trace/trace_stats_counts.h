// What trace_stats.cpp puts together: counts of loads and first choices, and shares of pairs.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sim/trace/request_rows.h"
#include "sim/trace/trace_stats.h"

namespace moesim {

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

// Shares of the pairs of one layer that were counted.
struct PairStats {
  DependenceStats covered;
  double hottest = 0;
};
struct LayerPairs {
  PairStats next_layer, next_token;
};
struct PairSource {
  const RoutingTrace& trace;
  std::span<const std::uint32_t> rows, next;  // sampled_rows, next_rows
};
std::vector<std::uint32_t> sampled_rows(const RoutingTrace& trace);
// How many MoE layers are best counted together.
std::size_t layers_at_once(const RoutingTrace& trace);
// Of the layers from `first_layer` on, one for every load (by expert) given. Every id was checked.
std::vector<LayerPairs> pair_stats(const PairSource& source,
                                   std::size_t first_layer,
                                   std::span<const std::vector<std::uint64_t>> loads);

}  // namespace moesim
