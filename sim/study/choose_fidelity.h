// What "fidelity": "auto" means: the cheapest fidelity within its stated error.
#pragma once

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/result.h"

namespace moesim {

// The error auto accepts: makespan of an exchange alone, against the next finer fidelity.
inline constexpr double kStatedError = 0.01;

// `bound`, or `links` where several groups of ranks exchange and may meet on links. Up to some
// ranks, exchanges of up to two layers of the first batch are replayed alone with `paths` too;
// where one is further off than kStatedError and the flows are few, it is `paths` for all. Fills
// against, sampled, error and words.
Fidelity choose_fidelity(const StepInputs& inputs, const Batch& first, FidelityResult& used);

}  // namespace moesim
