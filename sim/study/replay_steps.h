// The steps of one point: built, replayed, checked and measured one after another.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/measure.h"

namespace moesim {

struct StepFidelity {
  Fidelity fidelity = Fidelity::bound;
  bool sample = false;  // whether one layer of a first step is also replayed flow by flow
};

// `wanted` nullopt is auto: bound, or flows where links are shared unevenly (oversubscription,
// ECMP) and the ranks are few enough. Fills the result's fidelity and its notes.
StepFidelity choose_fidelity(const Cluster& cluster,
                             const std::optional<Fidelity>& wanted,
                             PointResult& result);

struct ReplayedStep {
  StepGraph graph;
  Timeline timeline;
};

// Builds, replays and checks one step; CheckError when it breaks a law. Of a first step the result
// takes what was checked and, where fidelity.sample says so, the error of bound; `when` ends that
// sentence.
ReplayedStep replay_step(const StepInputs& inputs,
                         const Batch& batch,
                         const StepFidelity& fidelity,
                         PointResult* first_of = nullptr,
                         const std::string& when = "");

// All steps of a pool that no fault meets.
void replay_steps(const StepInputs& inputs,
                  const std::vector<Batch>& batches,
                  const StepFidelity& fidelity,
                  Measurement& measurement,
                  PointResult& result);

}  // namespace moesim
