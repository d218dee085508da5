// Cluster: accelerators joined by a fabric.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/cluster/fabric.h"
#include "sim/cluster/link_health.h"
#include "sim/cluster/node_group.h"

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
  std::vector<LinkHealth> link_health = {};
  std::vector<NodeGroup> node_groups = {};  // empty = all nodes alike
  bool cpu_proxy = false;         // host threads post what GPUs send across nodes, as on EFA
  std::string calibration = {};   // file whose exchange constants come first; empty = the project's
  std::string kernel_table = {};  // CSV file of measured kernels, which come first; empty = none
};

struct Cluster {
  ClusterSpec spec;
  Accelerator accelerator;  // of the nodes that no group says otherwise of
  Fabric fabric;
  std::vector<Accelerator> by_node = {};  // of a heterogeneous cluster
  std::vector<double> slow = {};  // by rank: kernels take that many times as long; empty = 1
  int ranks() const { return fabric.ranks; }
  const Accelerator& accelerator_of(Rank rank) const {
    return by_node.empty() ? accelerator : by_node[static_cast<std::size_t>(fabric.node_of(rank))];
  }
  double slow_of(Rank rank) const { return slow.empty() ? 1 : slow[index(rank)]; }
};

// InputError naming the option that the topology refuses.
Cluster build_cluster(const ClusterSpec& spec);
std::vector<std::string> cluster_preset_names();  // of topologies/clusters, sorted

// The preset of that name, or a .json file named by its path. InputError with the nearest name.
ClusterSpec load_cluster_preset(const std::string& name_or_path);
// The one that `node` names; where its document may not read a path, neither may this one.
ClusterSpec load_cluster_preset(const JsonNode& node);

// Overrides what `node`, a preset or the "cluster" part of a scenario, says of these keys:
// "accelerator", "topology", "source", "link_health", "node_groups", "posted_by" ("gpu" | "cpu"),
// "calibration", "kernel_table" and every TopologyOptions member by its name ("congestion": "ideal"
// | "ecmp" stands for ecmp; a "graph" brings its counts of nodes and GPUs, its path and those of
// calibration and kernel table start from the folder of the file that names it). InputError at the
// value for a wrong type, unit or range and for unknown accelerators and topologies; the caller
// refuses other keys (cluster_keys() are all).
void read_cluster_keys(const JsonNode& node, ClusterSpec& spec);
const std::vector<std::string>& cluster_keys();

}  // namespace moesim
