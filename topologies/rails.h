// The scale-out part of rail-optimised fabrics: a leaf switch for each rail of a group of nodes,
// spines that join all leaves; all of it once for each plane.
#pragma once

#include "sim/cluster/fabric.h"

namespace moesim {

// The whole fabric named `topology`: nodes as NodeCables makes them, whose GPUs take the rails in
// turn (local rank modulo `rails`, which divides gpus_per_node). The same node is reached over
// NVLink, the same leaf through it, all else through a spine.
Fabric build_rails(const TopologyOptions& options, const std::string& topology, int rails);

}  // namespace moesim
