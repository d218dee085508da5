// Shares of (expert, next expert) pairs, counted in tables of first experts x next experts. Layers
// are taken in small groups: their choices of one row share a cache line, which so is fetched once.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "sim/trace/trace_stats_counts.h"

namespace moesim {
namespace {

constexpr std::size_t kPairCounters = std::size_t{1} << 22;   // of a table; 16 MiB
constexpr std::size_t kGroupCounters = std::size_t{1} << 18;  // of all tables of a group; 1 MiB
constexpr std::size_t kBlockRows = 256, kRowsAhead = 16;
constexpr std::uint32_t kNotCounted = 0xFFFFFFFF;

// kNotRouted wraps round to 0.
std::size_t cell_of(std::uint16_t id) { return static_cast<std::uint16_t>(id + 1); }

std::uint64_t top_sum(std::span<std::uint32_t> counts, std::size_t top) {
  std::nth_element(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(top) - 1,
                   counts.end(), std::greater<>());
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(top),
                         std::uint64_t{0});
}

// The first experts whose pairs are counted: all, or kFirstExperts of them, evenly spaced by load.
std::vector<std::uint16_t> first_experts(const PairSource& source,
                                         const std::vector<std::uint64_t>& load) {
  std::vector<std::uint16_t> order(load.size());
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  const std::size_t choices = static_cast<std::size_t>(source.trace.header.top_k);
  if (load.size() <= kFirstExperts || source.rows.size() * choices * choices <= kAllFirstPairs)
    return order;
  std::sort(order.begin(), order.end(), [&](std::uint16_t a, std::uint16_t b) {
    return load[a] != load[b] ? load[a] > load[b] : a < b;
  });
  std::vector<std::uint16_t> chosen;
  chosen.reserve(kFirstExperts);
  for (std::size_t i = 0; i < kFirstExperts; ++i)
    chosen.push_back(order[(2 * i + 1) * load.size() / (2 * kFirstExperts)]);
  return chosen;
}

// The pairs of one layer and one kind: rows of the table are numbered by `first`.
struct PairTable {
  std::vector<std::uint32_t> counts;  // [first expert counted][not routed, then next expert]
  std::uint64_t covered = 0;
  std::vector<std::uint32_t> next_load;  // by next expert
  double hottest = 0;
};

class LayerPairCounter {
 public:
  LayerPairCounter(const PairSource& source, std::size_t layer, std::vector<std::uint16_t> first)
      : source_(source),
        layer_(layer),
        cells_(static_cast<std::size_t>(source.trace.header.experts) + 1),
        first_(std::move(first)),
        at_once_(std::min(first_.size(), std::max<std::size_t>(1, kPairCounters / cells_))),
        found_(kBlockRows * static_cast<std::size_t>(source.trace.header.top_k) + 1) {
    for (PairTable* table : {&next_layer_, &next_token_}) table->next_load.assign(cells_ - 1, 0);
  }

  // Every row is counted once for every `begin` = 0, step(), 2 step() ... below firsts().
  std::size_t firsts() const { return first_.size(); }
  std::size_t step() const { return at_once_; }

  void begin_at(std::size_t begin) {
    counters_.assign(cells_, kNotCounted);
    const std::size_t end = std::min(first_.size(), begin + at_once_);
    for (std::size_t i = begin; i < end; ++i)
      counters_[cell_of(first_[i])] = static_cast<std::uint32_t>((i - begin) * cells_);
    for (PairTable* table : {&next_layer_, &next_token_})
      table->counts.assign((end - begin) * cells_, 0);
  }

  void add_rows(std::span<const std::uint32_t> rows) {
    const std::size_t found = find_first(rows);
    const std::size_t top_k = static_cast<std::size_t>(source_.trace.header.top_k);
    const std::size_t per_row = source_.trace.moe_layers() * top_k;
    const std::uint16_t* const ids = source_.trace.experts.data() + layer_ * top_k;
    const bool followed = layer_ + 1 < source_.trace.moe_layers();
    std::uint32_t* const next_layer = next_layer_.counts.data();
    std::uint32_t* const next_token = next_token_.counts.data();
    for (std::size_t i = 0; i < found; ++i) {
      const Found here = found_[i];
      if (followed) add_choice(next_layer + here.counters, ids + here.row * per_row + top_k, top_k);
      const std::uint32_t next = source_.next[here.row];
      if (next != kNoRow) add_choice(next_token + here.counters, ids + next * per_row, top_k);
    }
  }

  void end() {
    for (PairTable* table : {&next_layer_, &next_token_}) take_in(*table);
  }

  LayerPairs stats() { return {stats_of(next_layer_), stats_of(next_token_)}; }

 private:
  struct Found {
    std::uint32_t row;
    std::uint32_t counters;  // where those of its first expert begin
  };

  // The rows' choices that are counted, without branches: which they are cannot be foreseen.
  std::size_t find_first(std::span<const std::uint32_t> rows) {
    const std::size_t top_k = static_cast<std::size_t>(source_.trace.header.top_k);
    const std::size_t per_row = source_.trace.moe_layers() * top_k;
    const std::uint16_t* const ids = source_.trace.experts.data() + layer_ * top_k;
    const std::uint32_t* const counters = counters_.data();
    Found* found = found_.data();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      // Rows lie further apart than processors look ahead by themselves.
      const std::uint32_t later = rows[std::min(i + kRowsAhead, rows.size() - 1)];
      __builtin_prefetch(ids + later * per_row + 2 * top_k - 1);
      const std::uint32_t row = rows[i];
      const std::uint16_t* const choice = ids + row * per_row;
      for (std::size_t k = 0; k < top_k; ++k) {
        const std::uint32_t begin = counters[cell_of(choice[k])];
        *found = {row, begin};
        found += begin != kNotCounted ? 1 : 0;
      }
    }
    return static_cast<std::size_t>(found - found_.data());
  }

  static void add_choice(std::uint32_t* counts, const std::uint16_t* choice, std::size_t top_k) {
    for (std::size_t k = 0; k < top_k; ++k) ++counts[cell_of(choice[k])];
  }

  // Drops the column of the unrouted and adds up what the table says.
  void take_in(PairTable& table) const {
    const std::size_t experts = cells_ - 1, rows = table.counts.size() / cells_;
    for (std::size_t row = 0; row < rows; ++row)
      std::copy_n(table.counts.begin() + static_cast<std::ptrdiff_t>(row * cells_ + 1), experts,
                  table.counts.begin() + static_cast<std::ptrdiff_t>(row * experts));
    table.counts.resize(rows * experts);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto of_expert = std::span(table.counts).subspan(row * experts, experts);
      std::transform(of_expert.begin(), of_expert.end(), table.next_load.begin(),
                     table.next_load.begin(), std::plus<>());
      table.covered += top_sum(of_expert, (experts + 4) / 5);
    }
    if (rows == first_.size())
      table.hottest = static_cast<double>(top_sum(table.counts, (table.counts.size() + 9) / 10));
  }

  static PairStats stats_of(PairTable& table) {
    PairStats stats;
    stats.covered.pairs =
        std::accumulate(table.next_load.begin(), table.next_load.end(), std::uint64_t{0});
    if (stats.covered.pairs == 0) return stats;
    const auto total = static_cast<double>(stats.covered.pairs);
    stats.covered.share = static_cast<double>(table.covered) / total;
    stats.covered.chance =
        static_cast<double>(top_sum(table.next_load, (table.next_load.size() + 4) / 5)) / total;
    stats.hottest = table.hottest / total;
    return stats;
  }

  const PairSource& source_;
  std::size_t layer_, cells_;
  std::vector<std::uint16_t> first_;
  std::size_t at_once_;
  std::vector<Found> found_;
  std::vector<std::uint32_t> counters_;  // by cell: where its counters begin, or kNotCounted
  PairTable next_layer_, next_token_;
};

}  // namespace

std::vector<std::uint32_t> sampled_rows(const RoutingTrace& trace) {
  const auto experts = static_cast<double>(trace.header.experts);
  const auto top_k = static_cast<double>(trace.header.top_k);
  const double wanted = kPairsPerCell * experts * experts;
  const double all = static_cast<double>(trace.tokens()) * top_k * top_k;
  // Odd, since requests are often of an even length.
  const std::size_t step = static_cast<std::size_t>(std::max(1.0, std::ceil(all / wanted))) | 1U;
  std::vector<std::uint32_t> rows;
  rows.reserve(trace.tokens() / step + 1);
  for (std::size_t row = 0; row < trace.tokens(); row += step)
    rows.push_back(static_cast<std::uint32_t>(row));
  return rows;
}

std::size_t layers_at_once(const RoutingTrace& trace) {
  const auto experts = static_cast<std::size_t>(trace.header.experts);
  constexpr std::size_t kLine = 64 / sizeof(std::uint16_t);
  const std::size_t in_line = kLine / static_cast<std::size_t>(trace.header.top_k);
  const std::size_t counters = 2 * std::min(kFirstExperts, experts) * (experts + 1);
  return std::clamp<std::size_t>(std::min(in_line, kGroupCounters / counters), 1, 8);
}

std::vector<LayerPairs> pair_stats(const PairSource& source,
                                   std::size_t first_layer,
                                   std::span<const std::vector<std::uint64_t>> loads) {
  std::vector<LayerPairCounter> counters;
  counters.reserve(loads.size());
  for (std::size_t i = 0; i < loads.size(); ++i)
    counters.emplace_back(source, first_layer + i, first_experts(source, loads[i]));
  // All layers have as many first experts, so the same steps.
  for (std::size_t begin = 0; begin < counters[0].firsts(); begin += counters[0].step()) {
    for (LayerPairCounter& counter : counters) counter.begin_at(begin);
    for (std::size_t row = 0; row < source.rows.size(); row += kBlockRows) {
      const auto rows = source.rows.subspan(row, std::min(kBlockRows, source.rows.size() - row));
      for (LayerPairCounter& counter : counters) counter.add_rows(rows);
    }
    for (LayerPairCounter& counter : counters) counter.end();
  }
  std::vector<LayerPairs> stats;
  stats.reserve(counters.size());
  for (LayerPairCounter& counter : counters) stats.push_back(counter.stats());
  return stats;
}

}  // namespace moesim
