// Expert weights on their way from one placement to another, as rows from rank to rank.
#pragma once

#include <memory>
#include <vector>

#include "sim/plan/row_counts.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// By trace MoE layer the replicas that ranks of the pool send each other; null = none.
struct Migration {
  std::vector<std::shared_ptr<const RowCounts>> replicas;
  double expert_bytes = 0;      // of one replica in one layer
  std::uint64_t moved() const;  // replicas of all trace layers
};

// A replica moves to a rank that did not hold its expert before, from one that did: of the same
// node where there is one, of these from the one that has sent the fewest so far. Only layers
// first_layer to last_layer - 1 move. Both placements have the layers, ranks and slots of the plan.
struct LayerSpan {
  std::size_t first = 0, last = 0;
};
Migration migration_between(const std::vector<Placement>& from,
                            const std::vector<Placement>& to,
                            const Parallelism& parallelism,
                            int ranks_per_node,
                            LayerSpan layers);

}  // namespace moesim
