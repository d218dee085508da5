// Contract of a collective: one .cpp in sim/plan/collective/ that turns what every rank of a group
// holds into legs (rows from rank to rank) and messages, and registers a CollectivePart. Formulas:
// docs/models.md, "Collectives".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/plan/link_loads.h"

namespace moesim {

// A group's buffer is the rows of all its ranks together: what all-gather leaves on every rank,
// what reduce-scatter and allreduce begin with, what a rank sends in an all-to-all of equal rows.
struct CollectiveShape {
  int group_ranks = 1, ranks_per_node = 8;  // consecutive ranks; of an NVLink domain
  std::vector<std::uint32_t> rows;          // by rank of the pool: its share of the buffer
  double row_bytes = 0;
  std::size_t ranks() const { return rows.size(); }
  std::size_t group() const { return static_cast<std::size_t>(group_ranks); }
  std::size_t per_node() const { return static_cast<std::size_t>(ranks_per_node); }
};

// Every group shares a buffer of `buffer` bytes, a row a rank.
CollectiveShape even_shares(int ranks, int group_ranks, int ranks_per_node, Bytes buffer);

struct CollectivePart {
  std::function<ExchangeTraffic(const CollectiveShape&)> traffic;
  // Where its constants stand in topologies/calibration/all_to_all.json.
  std::string timing, direction;
};

struct KeptParts {  // of an exchange, as ExchangeInputs has them
  bool flows = false, shares = false;
};

// One collective of every group at the same time. std::logic_error when the groups do not divide
// the ranks; InputError for an unknown name.
Exchange make_collective(const Cluster& cluster,
                         const FabricPaths& paths,
                         const std::string& name,
                         const CollectiveShape& shape,
                         KeptParts kept = {});

// The allreduce NCCL takes: in the network where a group of more than two ranks lies in one NVLink
// domain whose switches can add (NCCL user guide, NCCL_NVLS_ENABLE; in src/graph/tuning.cc NVLS is
// left out across nodes), else the ring or the tree, whichever ends earlier (the same file compares
// the time of every algorithm).
std::string nccl_allreduce(const Cluster& cluster,
                           const FabricPaths& paths,
                           const CollectiveShape& shape);

// Legs from every rank to the next of its group and the last to the first: within nodes over
// NVLink and from node to node over the rail of each rank, as one channel a rank of a node has it
// that begins at that rank (docs/models.md, "Collectives"). `rounds`: times the buffer passes each
// joint of the ring.
std::vector<Leg> ring_legs(const CollectiveShape& shape, double rounds);

// Whether the groups fill whole nodes or a part that divides one: then they have rails.
bool has_rails(const CollectiveShape& shape);

// Rows of each rank's group together, by rank.
std::vector<std::uint32_t> rows_of_groups(const CollectiveShape& shape);

}  // namespace moesim
