// The steps of one point: built, replayed, checked and measured one after another.
#pragma once

#include <optional>
#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/measure.h"

namespace moesim {

// `wanted` nullopt is auto (choose_fidelity.h). Fills the result's fidelity, fidelities and checks;
// CheckError when a step breaks a law.
void replay_steps(const StepInputs& inputs,
                  const std::vector<Batch>& batches,
                  const std::optional<Fidelity>& wanted,
                  Measurement& measurement,
                  PointResult& result);

}  // namespace moesim
