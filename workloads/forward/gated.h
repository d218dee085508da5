// Running a gated network: over the pool, or on one thread for the rows of one expert.
#pragma once

#include "workloads/forward/feed_forward.h"

namespace moesim {

void run_gated(const ForwardStep& step,
               const GatedWeights& weights,
               const ConstMatrix& x,
               const Matrix& out);

// One thread; x must not lie in scratch.weight or scratch.inner.
void run_gated_here(const GatedWeights& weights,
                    const ConstMatrix& x,
                    const Matrix& out,
                    Scratch& scratch);

}  // namespace moesim
