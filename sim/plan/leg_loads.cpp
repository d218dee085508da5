// Pairs are visited once; everything else is summed over halves, which are few.
#include "sim/plan/leg_loads.h"

#include <algorithm>

#include "sim/plan/leg_pairs.h"

namespace moesim {
namespace {

void add_source(const FabricPaths& paths,
                std::size_t source,
                std::span<const RowCounts::Entry> entries,
                std::span<Seconds> latency,
                LegLoads& loads) {
  const std::span<const FabricPaths::Path> path = paths.paths_from(source);
  const std::size_t own = paths.leaving().first[source], half = paths.ranks() / 2;
  const FabricPaths::Half* const leaving = paths.leaving().all.data() + own;
  const FabricPaths::Half* const entering = paths.entering().all.data();
  const std::uint32_t* const first = paths.entering().first.data();
  std::uint64_t *const on_leaving = loads.on_leaving.data() + own, *const on_entering =
                                                                       loads.on_entering.data();
  std::uint64_t low = 0, high = 0;
  for (const auto [destination, rows] : entries) {
    if (destination == source) continue;
    const auto [out, in] = path[destination];
    const std::size_t into = std::size_t{first[destination]} + in;
    on_leaving[out] += rows;
    on_entering[into] += rows;
    latency[destination] =
        std::max(latency[destination], Seconds(leaving[out].latency + entering[into].latency));
    (destination < half ? low : high) += rows;
  }
  if (source < half) {
    loads.forward += high;
  } else {
    loads.backward += low;
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

std::vector<Leg> legs_by_source(const std::vector<Leg>& legs) {
  std::vector<Leg> turned = legs;
  for (Leg& leg : turned) {
    if (!leg.transposed) continue;
    leg.rows = std::make_shared<RowCounts>(leg.rows->transposed());
    leg.transposed = false;
  }
  return turned;
}

LegLoads load_paths(const FabricPaths& paths, const Leg& leg, std::span<Seconds> latency) {
  LegLoads loads;
  loads.leg = leg;
  loads.on_leaving.resize(paths.leaving().all.size());
  loads.on_entering.resize(paths.entering().all.size());
  for (std::size_t source = 0; source < leg.rows->sources(); ++source)
    add_source(paths, source, leg.rows->of(source), latency, loads);
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
