// The step of a pipeline in its steady state. Formulas: docs/models.md, "Pipeline".
#pragma once

#include "sim/plan/fabric_paths.h"
#include "sim/plan/step_graph.h"

namespace moesim {

// The batch is cut into as many micro-batches as there are stages, P. In round k of P stage s works
// on micro-batch (k - s) mod P, whose hidden rows came in the round before, round 0's in the step
// before; then all stages hand on at once, 2 hidden bytes a row and residual stream from each rank
// to the one of its place in the next stage. So every stage works through every micro-batch once,
// and each token of the batch is made once. Sets graph.stage_ranks.
void add_pipeline(const StepInputs& inputs,
                  const Batch& batch,
                  const FabricPaths& paths,
                  StepGraph& graph);

}  // namespace moesim
