// A cell of a step: one batch goes through one stretch of layers. Without a pipeline a step is one
// cell.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/plan/fabric_paths.h"
#include "sim/plan/stages.h"
#include "sim/plan/step_graph.h"

namespace moesim {

struct StepCell {
  StageLayers layers;
  int micro_batch = 0;  // of the pipeline; an overlap schedule may cut it further
};

// Appends the cell's tasks, exchanges and loads for all ranks of inputs.plan, whose pipeline counts
// for nothing here. Returns where the tasks stand that nothing in the cell waits for.
std::vector<std::uint32_t> add_cell(const StepInputs& inputs,
                                    const Batch& batch,
                                    const FabricPaths& paths,
                                    const StepCell& cell,
                                    StepGraph& graph);

}  // namespace moesim
