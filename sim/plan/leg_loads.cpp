// Pairs are visited once; everything else is summed over halves, which are few.
#include "sim/plan/leg_loads.h"

#include <algorithm>

namespace moesim {
namespace {

// What lies at `rank`, an end of all these paths, and at their other ends: sources there when the
// leg is transposed.
template <bool kTransposed>
void add_rank(const FabricPaths& paths,
              std::size_t rank,
              std::span<const RowCounts::Entry> entries,
              std::span<Seconds> latency,
              LegLoads& loads) {
  const auto path = kTransposed ? paths.paths_into(rank) : paths.paths_from(rank);
  const FabricPaths::Halves& here = kTransposed ? paths.entering() : paths.leaving();
  const FabricPaths::Halves& there = kTransposed ? paths.leaving() : paths.entering();
  std::uint64_t* const on_here =
      (kTransposed ? loads.on_entering : loads.on_leaving).data() + here.first[rank];
  std::uint64_t* const on_there = (kTransposed ? loads.on_leaving : loads.on_entering).data();
  const double* const slowest = paths.slowest_into().data();
  const std::size_t half = paths.ranks() / 2;
  std::uint64_t low = 0, high = 0;
  for (const auto [other, rows] : entries) {
    if (other == rank) continue;
    const auto [leaving, entering] = path[other];
    const std::size_t at_rank = kTransposed ? entering : leaving;
    const std::size_t at_other = there.first[other] + (kTransposed ? leaving : entering);
    on_here[at_rank] += rows;
    on_there[at_other] += rows;
    const std::size_t destination = kTransposed ? rank : other;
    if (latency[destination].count() < slowest[destination])
      latency[destination] = std::max(
          latency[destination],
          Seconds(here.all[here.first[rank] + at_rank].latency + there.all[at_other].latency));
    (other < half ? low : high) += rows;
  }
  if (rank < half) {
    (kTransposed ? loads.backward : loads.forward) += high;
  } else {
    (kTransposed ? loads.forward : loads.backward) += low;
  }
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
