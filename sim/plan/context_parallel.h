// Context parallelism: ranks of a tensor-parallel group that hold the same keys and values share
// each request's cache out instead. Formulas: docs/models.md, "Context parallelism".
#pragma once

#include <vector>

#include "sim/model/moe_model.h"
#include "sim/plan/fabric_paths.h"
#include "sim/plan/sharding_plan.h"
#include "sim/plan/step_graph.h"

namespace moesim {

// The two exchanges of one layer, among groups of parallelism.context consecutive ranks. Decode:
// every rank gives the others its heads' queries, and gets back its heads' outputs in parts, with
// the log-sum-exp of all heads. Prefill: every rank gives the others its part of the cached
// context; nothing where no request has any.
struct ContextExchanges {
  std::vector<Exchange> gather, reduce;  // one each, or none
};
ContextExchanges context_exchanges(const StepInputs& inputs,
                                   const Batch& batch,
                                   const FabricPaths& paths,
                                   const AttentionShape& shape);

}  // namespace moesim
