// The steps of a pool that faults meet. Semantics: docs/models.md, "Faults".
#pragma once

#include <optional>

#include "sim/result/measure.h"
#include "sim/scenario/scenario.h"
#include "sim/study/pool_state.h"
#include "sim/study/replay_steps.h"

namespace moesim {

// Runs all steps and applies each fault before the first step that begins at its time or later; a
// step in which a rank is lost is begun again after recovery. Finished steps go into `measurement`,
// what faults did into result.faults. Where the survivors of a lost rank do not hold the requests
// in memory, the steps end there: the fault's verdict says so, and where no step had finished yet
// its ledger is returned. InputError at a fault as apply_fault and PoolState have it.
std::optional<MemoryLedger> replay_faulted_steps(const PoolState& healthy,
                                                 const Scenario& scenario,
                                                 Fidelity fidelity,
                                                 Measurement& measurement,
                                                 PointResult& result);

}  // namespace moesim
