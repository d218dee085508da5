// What a StepGraph must satisfy before an engine sees it: actors cannot throw.
#pragma once

#include "sim/replay/replay.h"

namespace moesim {

// CheckError unless every task has a time for every rank or names an exchange, all times and bytes
// are finite and not negative, ranks fit the cluster, and what the fidelity reads has been kept.
void check_step_graph(const StepGraph& graph, const Cluster& cluster, Fidelity fidelity);

}  // namespace moesim
