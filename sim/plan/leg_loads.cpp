// Pairs are visited once; everything else is summed over halves, which are few.
#include "sim/plan/leg_loads.h"

#include <algorithm>
#include <utility>

namespace moesim {
namespace {

// The two ends of the paths of one rank: its own, and the others'. Sources are there when the leg
// is transposed.
struct Ends {
  const FabricPaths::Halves& here;
  const FabricPaths::Halves& there;
  std::uint64_t* on_here;  // of the rank
  std::uint64_t* on_there;
};

template <bool kTransposed>
Ends ends_of(const FabricPaths& paths, std::size_t rank, LegLoads& loads) {
  if constexpr (kTransposed)
    return {paths.entering(), paths.leaving(),
            loads.on_entering.data() + paths.entering().first[rank], loads.on_leaving.data()};
  else
    return {paths.leaving(), paths.entering(),
            loads.on_leaving.data() + paths.leaving().first[rank], loads.on_entering.data()};
}

// Of a path: its half at the rank and the one at the other end.
template <bool kTransposed>
std::pair<std::size_t, std::size_t> halves_of(FabricPaths::Path path) {
  if constexpr (kTransposed)
    return {path.entering, path.leaving};
  else
    return {path.leaving, path.entering};
}

// Rows to the lower and to the upper half of the ranks.
template <bool kTransposed>
void cross_middle(bool low_rank, std::uint64_t low, std::uint64_t high, LegLoads& loads) {
  const bool forward = low_rank != kTransposed;
  (forward ? loads.forward : loads.backward) += low_rank ? high : low;
}

template <bool kTransposed>
void add_rank(const FabricPaths& paths,
              std::size_t rank,
              std::span<const RowCounts::Entry> entries,
              std::span<Seconds> latency,
              LegLoads& loads) {
  const auto path = kTransposed ? paths.paths_into(rank) : paths.paths_from(rank);
  const Ends ends = ends_of<kTransposed>(paths, rank, loads);
  const double* const slowest = paths.slowest_into().data();
  const std::size_t half = paths.ranks() / 2;
  std::uint64_t low = 0, high = 0;
  for (const auto [other, rows] : entries) {
    if (other == rank) continue;
    const auto [at_rank, there] = halves_of<kTransposed>(path[other]);
    const std::size_t at_other = ends.there.first[other] + there;
    ends.on_here[at_rank] += rows;
    ends.on_there[at_other] += rows;
    const std::size_t destination = kTransposed ? rank : other;
    if (latency[destination].count() < slowest[destination])
      latency[destination] = std::max(
          latency[destination], Seconds(ends.here.all[ends.here.first[rank] + at_rank].latency +
                                        ends.there.all[at_other].latency));
    (other < half ? low : high) += rows;
  }
  cross_middle<kTransposed>(rank < half, low, high, loads);
}

void add_halves(const FabricPaths::Halves& halves,
                std::span<const std::uint64_t> on_half,
                std::span<std::uint64_t> on_link,
                std::span<std::uint64_t> on_run) {
  for (std::size_t i = 0; i < on_half.size(); ++i) {
    if (on_half[i] == 0) continue;
    const auto [port, run, latency] = halves.all[i];
    if (port != FabricPaths::kNoLink) on_link[index(port)] += on_half[i];
    on_run[run] += on_half[i];
  }
}

}  // namespace

LegLoads load_paths(const FabricPaths& paths, const Leg& leg, std::span<Seconds> latency) {
  LegLoads loads;
  loads.leg = leg;
  loads.on_leaving.resize(paths.leaving().all.size());
  loads.on_entering.resize(paths.entering().all.size());
  const auto add = leg.transposed ? add_rank<true> : add_rank<false>;
  for (std::size_t rank = 0; rank < leg.rows->sources(); ++rank)
    add(paths, rank, leg.rows->of(rank), latency, loads);
  return loads;
}

std::vector<std::uint64_t> rows_by_rank(const FabricPaths::Halves& halves,
                                        std::span<const std::uint64_t> on_half) {
  std::vector<std::uint64_t> rows(halves.first.size() - 1);
  for (std::size_t rank = 0; rank < rows.size(); ++rank)
    for (std::size_t i = halves.first[rank]; i < halves.first[rank + 1]; ++i)
      rows[rank] += on_half[i];
  return rows;
}

std::vector<std::uint64_t> rows_by_link(const FabricPaths& paths, const LegLoads& loads) {
  std::vector<std::uint64_t> on_link(paths.bandwidth().size()), on_run(paths.runs());
  add_halves(paths.leaving(), loads.on_leaving, on_link, on_run);
  add_halves(paths.entering(), loads.on_entering, on_link, on_run);
  for (std::size_t run = 0; run < on_run.size(); ++run) {
    if (on_run[run] == 0) continue;
    for (const LinkId link : paths.links_of(run)) on_link[index(link)] += on_run[run];
  }
  return on_link;
}

}  // namespace moesim
