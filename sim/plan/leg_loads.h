// What a leg puts on the paths of a fabric: rows by half path.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/plan/all_to_all.h"
#include "sim/plan/fabric_paths.h"

namespace moesim {

struct LegLoads {  // in rows
  Leg leg;
  std::vector<std::uint64_t> on_leaving, on_entering;  // by half, as in paths.leaving().all
  std::uint64_t forward = 0, backward = 0;             // across the halves of the fabric's ranks
};

// One visit to every pair of ranks that exchanges rows; it raises latency (s, by destination) to
// that of every path they take.
LegLoads load_paths(const FabricPaths& paths, const Leg& leg, std::span<Seconds> latency);

std::vector<std::uint64_t> rows_by_rank(const FabricPaths::Halves& halves,
                                        std::span<const std::uint64_t> on_half);
std::vector<std::uint64_t> rows_by_link(const FabricPaths& paths, const LegLoads& loads);

}  // namespace moesim
