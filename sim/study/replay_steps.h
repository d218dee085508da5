// The steps of one point: built, replayed, checked and measured one after another.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/measure.h"

namespace moesim {

// `wanted`, or where it is nullopt what auto means (choose_fidelity.h). Fills the result's fidelity
// and fidelities.
Fidelity step_fidelity(const StepInputs& inputs,
                       const Batch& first,
                       const std::optional<Fidelity>& wanted,
                       PointResult& result);

struct ReplayedStep {
  StepGraph graph;
  Timeline timeline;
};

// Builds, replays and checks one step; CheckError when it breaks a law. Of a first step the result
// takes what was checked.
ReplayedStep replay_step(const StepInputs& inputs,
                         const Batch& batch,
                         Fidelity fidelity,
                         PointResult* first_of = nullptr);

// All steps of a pool that no fault meets.
void replay_steps(const StepInputs& inputs,
                  const std::vector<Batch>& batches,
                  Fidelity fidelity,
                  Measurement& measurement,
                  PointResult& result);

}  // namespace moesim
