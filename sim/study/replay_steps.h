// The steps of one point: built, replayed, checked and measured one after another.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/measure.h"
#include "sim/study/choose_fidelity.h"
#include "sim/study/pool_state.h"

namespace moesim {

// `wanted`, or where it is nullopt what auto means (choose_fidelity.h). Fills the result's fidelity
// and fidelities.
ChosenFidelity step_fidelity(const StepInputs& inputs,
                             const Batch& first,
                             const std::optional<Fidelity>& wanted,
                             PointResult& result);

struct ReplayedStep {
  StepGraph graph;
  Timeline timeline;
};

// Builds, replays and checks one step; CheckError when it breaks a law. Of a first step the result
// takes what was checked. `built`: the batch's graph, where there is one.
ReplayedStep replay_step(const StepInputs& inputs,
                         const Batch& batch,
                         Fidelity fidelity,
                         PointResult* first_of = nullptr,
                         std::optional<StepGraph> built = std::nullopt);

// All steps of a pool that no fault meets. The pool's paths go with the last of them, before it is
// measured.
void replay_steps(PoolState& state,
                  ChosenFidelity chosen,
                  Measurement& measurement,
                  PointResult& result);

}  // namespace moesim
