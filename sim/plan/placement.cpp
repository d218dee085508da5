// Expert load of trace rows, counted by threads with counters of their own; what ranks make of it.
#include "sim/plan/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <thread>

#include "sim/core/error.h"
#include "sim/trace/choice_bins.h"
#include "sim/trace/routing_trace.h"

namespace moesim {
namespace {

constexpr std::size_t kIdsPerThread = 1 << 20;  // below about a millisecond's work
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

struct Count {
  std::vector<std::uint64_t> load;  // [moe layer][expert]
  std::size_t bad_row = kNone;      // the first row that holds an id beyond the experts
};

std::size_t first_bad(const RoutingTrace& trace, std::span<const std::uint32_t> rows) {
  const std::size_t per_row = trace.moe_layers() * static_cast<std::size_t>(trace.header.top_k);
  for (const std::uint32_t row : rows)
    for (const std::uint16_t id : trace.experts.subspan(row * per_row, per_row))
      if (id >= trace.header.experts && id != kNotRouted) return row;
  return kNone;
}

// A few thousand rows at a time: as many as short counts hold, which then stay in the cache.
void count_rows(const RoutingTrace& trace, std::span<const std::uint32_t> rows, Count& count) {
  const auto experts = static_cast<std::size_t>(trace.header.experts);
  const auto top_k = static_cast<std::size_t>(trace.header.top_k);
  const std::size_t layers = trace.moe_layers(),
                    most =
                        std::max<std::size_t>(std::numeric_limits<std::uint16_t>::max() / top_k, 1);
  count.load.assign(layers * experts, 0);
  ChoiceBins bins(layers, top_k, experts);
  std::vector<std::uint16_t> few(layers * bins.of_layer());
  for (; !rows.empty(); rows = rows.subspan(std::min(most, rows.size()))) {
    const auto some = rows.first(std::min(most, rows.size()));
    for (const std::uint32_t row : some)
      bins.add(trace.experts.data() + row * layers * top_k, few.data());
    if (bins.odd(few.data())) count.bad_row = std::min(count.bad_row, first_bad(trace, some));
    if (count.bad_row != kNone) return;
    for (std::size_t i = 0; i < count.load.size(); ++i)
      count.load[i] += few[i / experts * bins.of_layer() + i % experts];
    std::fill(few.begin(), few.end(), std::uint16_t{0});
  }
}

[[noreturn]] void refuse_row(const RoutingTrace& trace, std::size_t row) {
  for (std::size_t layer = 0; layer < trace.moe_layers(); ++layer)
    for (const std::uint16_t id : trace.choice(row, layer))
      if (id >= trace.header.experts && id != kNotRouted)
        throw InputError(fmt::format(
            "trace: token row {}, layer {}: expert {}, allowed: 0 to {}, and {} for "
            "not routed",
            row, trace.header.layer_ids[layer], id, trace.header.experts - 1, kNotRouted));
  throw std::logic_error("refuse_row: the row holds no wrong expert");
}

}  // namespace

std::vector<std::vector<double>> expert_load(const RoutingTrace& trace,
                                             const std::vector<std::uint32_t>& rows) {
  const std::size_t per_row = trace.moe_layers() * static_cast<std::size_t>(trace.header.top_k);
  const std::size_t wanted = 1 + rows.size() * per_row / kIdsPerThread;
  const std::size_t available = std::max(1U, std::thread::hardware_concurrency());
  std::vector<Count> counts(std::min(wanted, available));
  std::vector<std::thread> threads;
  const std::span<const std::uint32_t> all(rows);
  const auto part = [&](std::size_t t) { return all.size() * t / counts.size(); };
  for (std::size_t t = 1; t < counts.size(); ++t)
    threads.emplace_back(
        [&, t] { count_rows(trace, all.subspan(part(t), part(t + 1) - part(t)), counts[t]); });
  count_rows(trace, all.first(part(1)), counts[0]);
  for (std::thread& thread : threads) thread.join();

  const auto experts = static_cast<std::size_t>(trace.header.experts);
  std::vector<std::vector<double>> load(trace.moe_layers(), std::vector<double>(experts, 0));
  for (const Count& count : counts) {
    if (count.bad_row != kNone) refuse_row(trace, count.bad_row);
    for (std::size_t i = 0; i < count.load.size(); ++i)
      load[i / experts][i % experts] += static_cast<double>(count.load[i]);
  }
  return load;
}

std::vector<double> rank_load(const Placement& placement,
                              const std::vector<double>& load,
                              std::size_t ranks) {
  std::vector<double> replicas(load.size(), 0), of_rank(ranks, 0);
  for (const LogicalExpert expert : placement.replica_of)
    if (expert != kNoExpert) replicas[index(expert)] += 1;
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
    const LogicalExpert expert = placement.replica_of[slot];
    if (expert != kNoExpert)
      of_rank[index(placement.rank_of[slot])] += load[index(expert)] / replicas[index(expert)];
  }
  return of_rank;
}

std::size_t replicas_that_move(const Placement& before, const Placement& now) {
  const auto pairs = [](const Placement& placement) {
    std::vector<std::pair<Rank, LogicalExpert>> held;
    for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot)
      held.emplace_back(placement.rank_of[slot], placement.replica_of[slot]);
    std::sort(held.begin(), held.end());
    return held;
  };
  const auto old = pairs(before);
  std::size_t moved = 0;
  for (const auto& one : pairs(now))
    if (!std::binary_search(old.begin(), old.end(), one)) ++moved;
  return moved;
}

double balancedness(std::span<const double> load_by_rank) {
  const double most = *std::max_element(load_by_rank.begin(), load_by_rank.end());
  const double sum = std::accumulate(load_by_rank.begin(), load_by_rank.end(), 0.0);
  return most > 0 ? sum / static_cast<double>(load_by_rank.size()) / most : 1;
}

}  // namespace moesim
