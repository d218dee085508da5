// What "fidelity": "auto" means: the cheapest fidelity within its stated error.
#pragma once

#include <optional>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/result.h"

namespace moesim {

// The error auto accepts: makespan of an exchange alone, against the next finer fidelity.
inline constexpr double kStatedError = 0.01;

struct ChosenFidelity {
  Fidelity fidelity{};
  std::optional<StepGraph> first;  // of the first batch, fit for it, where choosing built one
};

// `bound`, or `links` where several groups of ranks exchange and may meet on links. While they have
// few flows enough, exchanges of up to two layers of the first batch are replayed alone with
// `paths` too; where one is further off than kStatedError and `paths` for every exchange is
// affordable, it is that. Fills against, sampled, error and words.
ChosenFidelity choose_fidelity(const StepInputs& inputs, const Batch& first, FidelityResult& used);

}  // namespace moesim
