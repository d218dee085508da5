// The steps of a workload with windows under a rebalancing policy. Semantics: docs/models.md,
// "Rebalancing".
#pragma once

#include <cstdint>
#include <vector>

#include "sim/result/measure.h"
#include "sim/scenario/scenario.h"
#include "sim/study/pool_state.h"
#include "sim/study/replay_steps.h"

namespace moesim {

struct RebalancedWork {
  const Scenario& scenario;  // with a rebalance policy
  const PoolState& start;    // placed on the planning rows; its batches are the windows' in order
  std::vector<std::vector<std::uint32_t>> windows;  // rows of each
  Fidelity fidelity = Fidelity::bound;
};

// Steps go into `measurement` as the plan in place runs them, what rebalancing cost and gained into
// result.rebalances.
void replay_rebalanced_steps(const RebalancedWork& work,
                             Measurement& measurement,
                             PointResult& result);

}  // namespace moesim
