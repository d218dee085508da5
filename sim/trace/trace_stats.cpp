// Statistics of a trace: loads from one pass over its rows, pairs layer by layer.
#include "sim/trace/trace_stats.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>
#include <thread>
#include <utility>

#include "sim/trace/request_rows.h"
#include "sim/trace/trace_stats_counts.h"

namespace moesim {
namespace {

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

DependenceStats same_first(const FirstChoices& choices) {
  DependenceStats stats;
  stats.pairs = std::accumulate(choices.before.begin(), choices.before.end(), std::uint64_t{0});
  if (stats.pairs == 0) return stats;
  const auto total = static_cast<double>(stats.pairs);
  stats.share = static_cast<double>(choices.same) / total;
  for (std::size_t expert = 0; expert < choices.before.size(); ++expert)
    stats.chance += static_cast<double>(choices.before[expert]) / total *
                    (static_cast<double>(choices.after[expert]) / total);
  return stats;
}

using Load = std::vector<std::uint64_t>;

void add_load(Load& into, const Load& from) {
  for (std::size_t expert = 0; expert < into.size(); ++expert) into[expert] += from[expert];
}

// `labelled` is [domain x 2 + phase][expert].
void set_loads(LayerTraceStats& stats, const std::vector<Load>& labelled) {
  const Load none(labelled.front().size(), 0);
  std::array<Load, 2> by_phase{none, none};
  for (std::size_t domain = 0; domain < labelled.size() / 2; ++domain) {
    Load sum = none;
    for (std::size_t phase = 0; phase < 2; ++phase) {
      add_load(by_phase[phase], labelled[domain * 2 + phase]);
      add_load(sum, labelled[domain * 2 + phase]);
    }
    stats.by_domain.push_back(load_stats(std::move(sum)));
  }
  Load all = by_phase[0];
  add_load(all, by_phase[1]);
  stats.all = load_stats(std::move(all));
  stats.distance_between_domains = domain_distance(stats.by_domain);
  stats.phases = phase_overlap(by_phase[0], by_phase[1]);
}

void set_pairs(LayerTraceStats& stats, const LayerPairs& pairs) {
  stats.next_layer = pairs.next_layer.covered;
  stats.next_layer_hottest = pairs.next_layer.hottest;
  stats.next_token = pairs.next_token.covered;
  stats.next_token_hottest = pairs.next_token.hottest;
}

// Statistics of the layers from `first` on that are counted together.
void set_layers(TraceStats& stats,
                const PairSource& source,
                const TraceCounts& counts,
                std::size_t first) {
  const std::size_t end = std::min(stats.layers.size(), first + layers_at_once(source.trace));
  std::vector<Load> loads;
  loads.reserve(end - first);
  for (std::size_t layer = first; layer < end; ++layer) {
    LayerTraceStats& into = stats.layers[layer];
    into.layer = source.trace.header.layer_ids[layer];
    set_loads(into, counts.loads[layer]);
    into.same_first_expert = same_first(counts.first_choices[layer]);
    loads.push_back(into.all.load);
  }
  const std::vector<LayerPairs> pairs = pair_stats(source, first, loads);
  for (std::size_t layer = first; layer < end; ++layer)
    set_pairs(stats.layers[layer], pairs[layer - first]);
}

// The `count` busiest experts; of equal loads the lower id is the busier.
std::vector<std::size_t> busiest(const Load& load, std::size_t count) {
  std::vector<std::size_t> order(load.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
      [&](std::size_t a, std::size_t b) { return load[a] != load[b] ? load[a] > load[b] : a < b; });
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
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

double contiguous_rank_skew(const std::vector<std::uint64_t>& load, int ranks) {
  const std::size_t on_rank = load.size() / static_cast<std::size_t>(ranks);
  std::uint64_t most = 0, sum = 0;
  for (std::size_t first = 0; first < load.size(); first += on_rank) {
    const auto begin = load.begin() + static_cast<std::ptrdiff_t>(first);
    const std::uint64_t of_rank =
        std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(on_rank), std::uint64_t{0});
    most = std::max(most, of_rank);
    sum += of_rank;
  }
  return sum == 0 ? 0 : static_cast<double>(most) * ranks / static_cast<double>(sum);
}

PhaseOverlap phase_overlap(const std::vector<std::uint64_t>& prefill,
                           const std::vector<std::uint64_t>& decode) {
  PhaseOverlap overlap;
  const auto copies = [](const Load& load) {
    return std::accumulate(load.begin(), load.end(), std::uint64_t{0});
  };
  overlap.counted = prefill.size() > static_cast<std::size_t>(kPhaseTops.back()) &&
                    copies(prefill) > 0 && copies(decode) > 0;
  if (!overlap.counted) return overlap;
  for (std::size_t i = 0; i < kPhaseTops.size(); ++i) {
    const auto top = static_cast<std::size_t>(kPhaseTops[i]);
    const auto a = busiest(prefill, top), b = busiest(decode, top);
    std::vector<std::size_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    overlap.share[i] = static_cast<double>(both.size()) / kPhaseTops[i];
  }
  return overlap;
}

TraceStats trace_stats(const RoutingTrace& trace, int threads) {
  TraceStats stats;
  stats.header = trace.header;
  stats.tokens = trace.tokens();
  stats.tokens_by_domain.assign(trace.header.domains.size(), 0);
  for (const std::uint8_t domain : trace.domain) ++stats.tokens_by_domain[domain];
  stats.prefill_tokens =
      static_cast<std::size_t>(std::count(trace.phase.begin(), trace.phase.end(), std::uint8_t{0}));
  const RequestRows requests = rows_by_request(trace.request, all_rows(trace.tokens()));
  stats.requests = requests.requests();
  const std::vector<std::uint32_t> next = next_rows(trace, requests);
  const TraceCounts counts = count_trace(trace, next, threads);

  const std::vector<std::uint32_t> rows = sampled_rows(trace);
  stats.layers.resize(trace.moe_layers());
  const std::size_t group = layers_at_once(trace);
  std::atomic<std::size_t> next_group{0};
  const auto work = [&] {
    for (std::size_t first; (first = group * next_group++) < stats.layers.size();)
      set_layers(stats, {trace, rows, next}, counts, first);
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  std::uint64_t routed = 0;
  for (const LayerTraceStats& layer : stats.layers) routed += layer.all.copies;
  const auto entries = static_cast<double>(trace.experts.size());
  stats.not_routed = (entries - static_cast<double>(routed)) / entries;
  return stats;
}

}  // namespace moesim
