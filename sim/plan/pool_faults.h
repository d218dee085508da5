// A fault on a whole pool: its cluster and its plan, plain values in and out, between two steps.
// Semantics: docs/models.md, "Faults".
#pragma once

#include <vector>

#include "sim/cluster/fault.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

struct Pool {
  Cluster cluster;
  ShardingPlan plan;
};

struct FaultEffect {
  Pool pool;           // as it goes on
  Seconds recovery{};  // it stands still for: of the ranks, the largest bytes reloaded / host link
  Bytes reloaded;      // from host memory, by all ranks together
};

// InputError at fault.where: as with_fault; ranks that exchange (of one EP or tensor-parallel
// group) and that no path joins any more; a rank lost that was lost already, that leaves nobody to
// take its requests, that an all-to-all algorithm forwards rows over, or whose experts come over a
// host link that the accelerator does not state. Where a plan has no placement yet, nothing is
// reloaded.
FaultEffect apply_fault(const Pool& pool, const Fault& fault, const MoeModel& model);

// In the order in which they take effect: by time, at the same time as they stand.
std::vector<Fault> in_order(std::vector<Fault> faults);

}  // namespace moesim
