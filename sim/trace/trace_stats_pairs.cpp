// Shares of (expert, next expert) pairs: counted in a table of experts x experts, in blocks of
// first experts where that would be large.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "sim/trace/trace_stats_counts.h"

namespace moesim {
namespace {

constexpr std::size_t kPairCounters = std::size_t{1} << 22;  // 16 MiB a thread at most

std::uint64_t top_sum(std::span<std::uint32_t> counts, std::size_t top) {
  std::nth_element(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(top) - 1,
                   counts.end(), std::greater<>());
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(top),
                         std::uint64_t{0});
}

// Where the two choices of a pair are found: a token and a MoE layer each.
struct ChoicePairs {
  const RoutingTrace& trace;
  std::span<const RowPair> rows;
  std::size_t layer, next_layer;
};

// counts[expert - first][next expert] += the pairs of the experts from `first` on for which there
// are counters.
void count_pairs(const ChoicePairs& pairs, std::size_t first, std::vector<std::uint32_t>& counts) {
  const auto experts = static_cast<std::size_t>(pairs.trace.header.experts);
  const std::size_t end = std::min(experts, first + counts.size() / experts);
  for (const RowPair& row : pairs.rows) {
    const auto next = pairs.trace.choice(row.second, pairs.next_layer);
    for (const std::uint16_t a : pairs.trace.choice(row.first, pairs.layer)) {
      if (a < first || a >= end) continue;  // kNotRouted lies beyond the end as well
      std::uint32_t* of_expert = counts.data() + (a - first) * experts;
      for (const std::uint16_t b : next)
        if (b != kNotRouted) ++of_expert[b];
    }
  }
}

// Every n-th of `count` pairs of rows, so that about kPairsPerCell pairs of experts come on each of
// the experts x experts kinds. n is odd: requests are often of an even length.
std::size_t sampling_step(const RoutingTrace& trace, std::size_t count) {
  const auto experts = static_cast<double>(trace.header.experts);
  const auto top_k = static_cast<double>(trace.header.top_k);
  const double wanted = kPairsPerCell * experts * experts;
  const double all = static_cast<double>(count) * top_k * top_k;
  return static_cast<std::size_t>(std::max(1.0, std::ceil(all / wanted))) | 1U;
}

}  // namespace

PairRows sampled_pairs(const RoutingTrace& trace, std::span<const std::uint32_t> next) {
  PairRows rows;
  const std::size_t step = sampling_step(trace, trace.tokens());
  rows.itself.reserve(trace.tokens() / step + 1);
  for (std::size_t row = 0; row < trace.tokens(); row += step)
    rows.itself.emplace_back(static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row));
  const auto neighbours =
      next.size() - static_cast<std::size_t>(std::count(next.begin(), next.end(), kNoRow));
  const std::size_t neighbour_step = sampling_step(trace, neighbours);
  rows.neighbours.reserve(neighbours / neighbour_step + 1);
  std::size_t number = 0;
  for (std::uint32_t row = 0; row < next.size(); ++row)
    if (next[row] != kNoRow && number++ % neighbour_step == 0)
      rows.neighbours.emplace_back(row, next[row]);
  return rows;
}

PairStats pair_stats(const RoutingTrace& trace,
                     std::span<const RowPair> rows,
                     std::size_t layer,
                     std::size_t next_layer) {
  const auto experts = static_cast<std::size_t>(trace.header.experts);
  const std::size_t top = (experts + 4) / 5;
  const std::size_t block = std::min(experts, std::max<std::size_t>(1, kPairCounters / experts));
  std::vector<std::uint32_t> counts(block * experts), next_load(experts, 0);
  std::uint64_t covered = 0;
  for (std::size_t first = 0; first < experts; first += block) {
    std::fill(counts.begin(), counts.end(), 0U);
    count_pairs({trace, rows, layer, next_layer}, first, counts);
    for (std::size_t i = 0; i < block; ++i) {
      const auto of_expert = std::span(counts).subspan(i * experts, experts);
      std::transform(of_expert.begin(), of_expert.end(), next_load.begin(), next_load.begin(),
                     std::plus<>());
      covered += top_sum(of_expert, top);
    }
  }
  PairStats stats;
  stats.covered.pairs = std::accumulate(next_load.begin(), next_load.end(), std::uint64_t{0});
  if (stats.covered.pairs == 0) return stats;
  const auto total = static_cast<double>(stats.covered.pairs);
  stats.covered.share = static_cast<double>(covered) / total;
  stats.covered.chance = static_cast<double>(top_sum(next_load, top)) / total;
  if (block == experts)
    stats.hottest = static_cast<double>(top_sum(counts, (counts.size() + 9) / 10)) / total;
  return stats;
}

}  // namespace moesim
