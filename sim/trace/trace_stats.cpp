// Statistics of a trace, one pass per layer and quantity, layers in parallel.
#include "sim/trace/trace_stats.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>
#include <thread>
#include <utility>

#include "sim/trace/request_rows.h"
#include "sim/trace/trace_laws.h"

namespace moesim {
namespace {

using RowPair = std::pair<std::uint32_t, std::uint32_t>;
constexpr std::size_t kPairCounters = std::size_t{1} << 22;  // 16 MiB a thread at most

// Slope of log(load) over log(rank), least squares, sign turned. The coldest quarter is left out:
// its steep drop is not the power law's.
double zipf_exponent(const std::vector<std::uint64_t>& falling) {
  double n = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  for (std::size_t i = 0; i < std::max<std::size_t>(1, falling.size() * 3 / 4); ++i) {
    if (falling[i] == 0) break;
    const double x = std::log(static_cast<double>(i + 1));
    const double y = std::log(static_cast<double>(falling[i]));
    n += 1;
    sum_x += x;
    sum_y += y;
    sum_xx += x * x;
    sum_xy += x * y;
  }
  return n < 2 ? 0 : -(n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
}

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

// Pairs are counted in blocks of first experts, so that the counters stay small for any number of
// experts.
DependenceStats coverage(const ChoicePairs& pairs) {
  const auto experts = static_cast<std::size_t>(pairs.trace.header.experts);
  const std::size_t top = (experts + 4) / 5;
  const std::size_t block = std::min(experts, std::max<std::size_t>(1, kPairCounters / experts));
  std::vector<std::uint32_t> counts(block * experts), next_load(experts, 0);
  std::uint64_t covered = 0;
  for (std::size_t first = 0; first < experts; first += block) {
    std::fill(counts.begin(), counts.end(), 0U);
    count_pairs(pairs, first, counts);
    for (std::size_t i = 0; i < block; ++i) {
      const auto of_expert = std::span(counts).subspan(i * experts, experts);
      std::transform(of_expert.begin(), of_expert.end(), next_load.begin(), next_load.begin(),
                     std::plus<>());
      covered += top_sum(of_expert, top);
    }
  }
  DependenceStats stats;
  stats.pairs = std::accumulate(next_load.begin(), next_load.end(), std::uint64_t{0});
  if (stats.pairs == 0) return stats;
  const auto total = static_cast<double>(stats.pairs);
  stats.share = static_cast<double>(covered) / total;
  stats.chance = static_cast<double>(top_sum(next_load, top)) / total;
  return stats;
}

DependenceStats same_first(const RoutingTrace& trace,
                           std::span<const RowPair> neighbours,
                           std::size_t layer) {
  DependenceStats stats;
  std::uint64_t same = 0;
  std::vector<std::uint64_t> before(static_cast<std::size_t>(trace.header.experts), 0);
  std::vector<std::uint64_t> after = before;
  for (const RowPair& row : neighbours) {
    const std::uint16_t a = trace.choice(row.first, layer)[0];
    const std::uint16_t b = trace.choice(row.second, layer)[0];
    if (a == kNotRouted || b == kNotRouted) continue;
    ++stats.pairs;
    ++before[a];
    ++after[b];
    if (a == b) ++same;
  }
  if (stats.pairs == 0) return stats;
  const auto total = static_cast<double>(stats.pairs);
  stats.share = static_cast<double>(same) / total;
  for (std::size_t expert = 0; expert < before.size(); ++expert)
    stats.chance +=
        static_cast<double>(before[expert]) / total * (static_cast<double>(after[expert]) / total);
  return stats;
}

// What every layer needs, made once.
struct SharedRows {
  std::vector<RowPair> itself;      // (row, row)
  std::vector<RowPair> neighbours;  // (row, row of the request's next position)
};

SharedRows shared_rows(const RoutingTrace& trace, const RequestRows& requests) {
  SharedRows rows;
  for (std::uint32_t row = 0; row < trace.tokens(); ++row) rows.itself.emplace_back(row, row);
  for (std::size_t request = 0; request < requests.requests(); ++request) {
    const auto of_request = requests.of(request);
    for (std::size_t i = 1; i < of_request.size(); ++i)
      if (trace.position[of_request[i]] == trace.position[of_request[i - 1]] + 1)
        rows.neighbours.emplace_back(of_request[i - 1], of_request[i]);
  }
  return rows;
}

LayerTraceStats layer_stats(const RoutingTrace& trace, const SharedRows& rows, std::size_t layer) {
  const auto experts = static_cast<std::size_t>(trace.header.experts);
  const std::size_t domains = trace.header.domains.size();
  std::vector<std::vector<std::uint64_t>> load(domains, std::vector<std::uint64_t>(experts, 0));
  for (std::size_t row = 0; row < trace.tokens(); ++row)
    for (const std::uint16_t expert : trace.choice(row, layer))
      if (expert != kNotRouted) ++load[trace.domain[row]][expert];

  LayerTraceStats stats;
  stats.layer = trace.header.layer_ids[layer];
  std::vector<std::uint64_t> sum(experts, 0);
  for (const auto& of_domain : load)
    for (std::size_t expert = 0; expert < experts; ++expert) sum[expert] += of_domain[expert];
  stats.all = load_stats(std::move(sum));
  for (auto& of_domain : load) stats.by_domain.push_back(load_stats(std::move(of_domain)));
  stats.distance_between_domains = domain_distance(stats.by_domain);
  if (layer + 1 < trace.moe_layers())
    stats.next_layer = coverage({trace, rows.itself, layer, layer + 1});
  stats.next_token = coverage({trace, rows.neighbours, layer, layer});
  stats.same_first_expert = same_first(trace, rows.neighbours, layer);
  return stats;
}

}  // namespace

LoadStats load_stats(std::vector<std::uint64_t> load) {
  LoadStats stats;
  stats.load = std::move(load);
  stats.copies = std::accumulate(stats.load.begin(), stats.load.end(), std::uint64_t{0});
  if (stats.copies == 0) return stats;
  std::vector<std::uint64_t> falling = stats.load;
  std::sort(falling.begin(), falling.end(), std::greater<>());
  const auto total = static_cast<double>(stats.copies);
  const std::size_t eighth = (falling.size() + 7) / 8;
  stats.max_over_mean =
      static_cast<double>(falling.front()) * static_cast<double>(falling.size()) / total;
  stats.zipf_exponent = zipf_exponent(falling);
  stats.hottest_eighth = static_cast<double>(std::accumulate(
                             falling.begin(), falling.begin() + static_cast<std::ptrdiff_t>(eighth),
                             std::uint64_t{0})) /
                         total;
  return stats;
}

double domain_distance(const std::vector<LoadStats>& domains) {
  double sum = 0;
  int pairs = 0;
  for (std::size_t a = 0; a < domains.size(); ++a)
    for (std::size_t b = a + 1; b < domains.size(); ++b) {
      if (domains[a].copies == 0 || domains[b].copies == 0) continue;
      ++pairs;
      for (std::size_t expert = 0; expert < domains[a].load.size(); ++expert)
        sum += 0.5 * std::abs(static_cast<double>(domains[a].load[expert]) /
                                  static_cast<double>(domains[a].copies) -
                              static_cast<double>(domains[b].load[expert]) /
                                  static_cast<double>(domains[b].copies));
    }
  return pairs == 0 ? 0 : sum / pairs;
}

TraceStats trace_stats(const RoutingTrace& trace, int threads) {
  check_routing(trace, {});
  TraceStats stats;
  stats.header = trace.header;
  stats.tokens = trace.tokens();
  stats.tokens_by_domain.assign(trace.header.domains.size(), 0);
  for (const std::uint8_t domain : trace.domain) ++stats.tokens_by_domain[domain];
  stats.prefill_tokens =
      static_cast<std::size_t>(std::count(trace.phase.begin(), trace.phase.end(), std::uint8_t{0}));
  stats.not_routed =
      static_cast<double>(std::count(trace.experts.begin(), trace.experts.end(), kNotRouted)) /
      static_cast<double>(trace.experts.size());
  const RequestRows requests = rows_by_request(trace.request, all_rows(trace.tokens()));
  stats.requests = requests.requests();

  const SharedRows rows = shared_rows(trace, requests);
  stats.layers.resize(trace.moe_layers());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t layer = next++; layer < stats.layers.size(); layer = next++)
      stats.layers[layer] = layer_stats(trace, rows, layer);
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  return stats;
}

}  // namespace moesim
