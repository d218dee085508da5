// Cluster: accelerators joined by a fabric.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/cluster/fabric.h"

namespace moesim {

class JsonNode;

// The "cluster" part of a scenario, checked: a preset from topologies/clusters/*.json with keys
// overridden.
struct ClusterSpec {
  std::string preset;       // "h100-ib"; empty when all is spelled out
  std::string accelerator;  // "h100-sxm"
  std::string topology;     // "rail_optimized"
  TopologyOptions options;  // nvlink 0 = the accelerator's
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

// The preset of that name, or a .json file named by its path. InputError with the nearest name.
ClusterSpec load_cluster_preset(const std::string& name_or_path);

// Overrides what `node`, a preset or the "cluster" part of a scenario, says of these keys:
// "accelerator", "topology", "source" and every TopologyOptions member by its name ("congestion":
// "ideal" | "ecmp" stands for ecmp). InputError at the value for a wrong type, unit or range and
// for unknown accelerators and topologies; the caller refuses other keys (cluster_keys() are all).
void read_cluster_keys(const JsonNode& node, ClusterSpec& spec);
const std::vector<std::string>& cluster_keys();

}  // namespace moesim
