// What becomes of a lost rank's experts and requests. Semantics: docs/models.md, "Faults".
#pragma once

#include <cstdint>
#include <vector>

#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// Takes the rank's experts out of the plan's placements. Of one with a replica on another rank of
// the EP group that replica is left; any other is moved to the rank with fewest experts in the
// layer, of those the one that was given least so far, then the lowest. Slots grow alike on all
// ranks and groups; those not needed hold kNoExpert. Returns by rank of the pool the experts, over
// all layers of the model, that it must load. An EP group that loses its last rank keeps its
// placements: nobody uses them. A plan without placements only notes the loss.
std::vector<std::int64_t> lose_rank(ShardingPlan& plan, const MoeModel& model, Rank rank);

// The batch with the requests of DP ranks that have lost a rank (with tensor parallelism the whole
// group) dealt one by one to the others, in the order of ranks.
Batch move_requests(const Batch& batch, const ShardingPlan& plan);

// DP ranks that take requests, ascending.
std::vector<std::size_t> serving_groups(const ShardingPlan& plan);

}  // namespace moesim
