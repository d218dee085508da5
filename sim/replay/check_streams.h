// The laws of a rank's two streams.
#pragma once

#include "sim/replay/replay.h"

namespace moesim {

// On every rank a task starts when the one before it on its stream and all it waits for have ended,
// and a kernel lasts as long as its cost says: longer by what exchanges that run beside it take of
// its SMs. The last end is the makespan. CheckError otherwise. Bounds of rounding: 1e-9 of the
// makespan.
void check_streams(const StepGraph& graph, const Timeline& timeline);

}  // namespace moesim
