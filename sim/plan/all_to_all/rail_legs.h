// What algorithms that cross nodes on rails share: a row goes to the GPU of the source's local rank
// in each node that needs it, which forwards it over NVLink.
#pragma once

#include <span>

#include "sim/plan/all_to_all.h"

namespace moesim {

struct RailLegs {
  std::shared_ptr<const RowCounts> rail;   // source -> GPU of its local rank in another node
  std::shared_ptr<const RowCounts> local;  // within a node: the node's own rows and forwarded ones
};

// InputError (with the algorithm's name) where an EP group that crosses nodes has no whole nodes:
// its rails then lack GPUs.
void check_whole_nodes(const std::string& algorithm, const ExchangeShape& shape);

// One rail row a (token, other node), one local row a (token, rank it is not yet on); from
// routed.rank_tokens and node_tokens. Checks whole nodes.
RailLegs rail_legs(const std::string& algorithm,
                   const ExchangeShape& shape,
                   const RoutedCopies& routed);

// Rows of one size over both legs, a message each.
std::vector<ExchangeTraffic> rail_traffic(const RailLegs& legs, double row_bytes, bool transposed);

// The same legs where every token goes to every rank of its EP group.
RailLegs rail_legs_of_all(const std::string& algorithm,
                          const ExchangeShape& shape,
                          const RoutedCopies& routed);

// The same for rows by rank of any pool, in groups that fill whole nodes or a part that divides
// one.
RailLegs rail_legs_of_all(int group_ranks, int ranks_per_node, std::span<const std::uint32_t> rows);

}  // namespace moesim
