// What each group of ranks puts on each link, and who sends to whom: what fidelity `links` reads.
#pragma once

#include <vector>

#include "sim/plan/leg_loads.h"
#include "sim/plan/step_graph.h"

namespace moesim {

// Fills exchange.shares and exchange.senders; its group_ranks and link_bytes are filled already.
void keep_shares(const FabricPaths& paths, const std::vector<LegLoads>& legs, Exchange& exchange);

}  // namespace moesim
