// Constants of an exchange between GPUs of several kinds: it is as fast as its weakest takes part.
#pragma once

#include <string>

#include "sim/cluster/cluster.h"
#include "sim/plan/all_to_all.h"

namespace moesim {

struct ExchangeName {  // as exchange_timing has them
  std::string algorithm, direction;
  bool within_node = false;
};

// The slowest of each constant and the weakest basis over the accelerators of the cluster's first
// `ranks` ranks; the source is that of the first accelerator with the weakest basis. InputError as
// exchange_timing.
ExchangeTiming weakest_timing(const ExchangeName& name, const Cluster& cluster, int ranks);

}  // namespace moesim
