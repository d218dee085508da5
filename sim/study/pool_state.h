// A pool with what its steps are built from: made anew after every fault.
#pragma once

#include <memory>

#include "sim/cost/rank_costs.h"
#include "sim/memory/memory_ledger.h"
#include "sim/memory/rank_memory.h"
#include "sim/plan/fabric_paths.h"
#include "sim/plan/pool_faults.h"
#include "sim/plan/step_graph.h"

namespace moesim {

// What every step of a point has.
struct StepSource {
  const MoeModel& model;
  const RoutingTrace& trace;
  const std::vector<Batch>& batches;  // as made, before requests of lost ranks move
  int threads = 1;
  bool count_reach = false;
};

struct PoolState {
  Pool pool;
  std::vector<Batch> moved;           // batches, where lost ranks left requests to others
  const std::vector<Batch>& batches;  // of the pool as it is
  RankCosts costs;
  std::unique_ptr<const FabricPaths> paths;  // where ranks are many, most of what a pool holds
  const StepSource& source;

  // buffer_tokens: plan.max_tokens_per_rank of the scenario. InputError when it is too few.
  PoolState(Pool now, const StepSource& from, int buffer_tokens);
  PoolState(const PoolState&) = delete;

  StepInputs inputs() const {
    StepInputs step{source.model, pool.cluster, pool.plan, source.trace, costs};
    step.threads = source.threads;
    step.paths = paths.get();
    step.count_reach = source.count_reach;
    step.expert_bytes = expert_bytes(source.model, pool.plan);
    return step;
  }
  MemoryLedger ledger() const;
};

}  // namespace moesim
