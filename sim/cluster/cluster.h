// Cluster: accelerators joined by a fabric.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/cluster/fabric.h"

namespace moesim {

// The "cluster" part of a scenario, checked: a preset from topologies/clusters/*.json with keys
// overridden.
struct ClusterSpec {
  std::string preset;       // "h100-ib"; empty when all is spelled out
  std::string accelerator;  // "h100-sxm"
  std::string topology;     // "rail_optimized"
  TopologyOptions options;
  std::string source;
};

struct Cluster {
  ClusterSpec spec;
  Accelerator accelerator;
  Fabric fabric;
  int ranks() const { return fabric.ranks; }
};

Cluster build_cluster(const ClusterSpec& spec);
std::vector<std::string> cluster_preset_names();  // of topologies/clusters, sorted

}  // namespace moesim
