// NodeGroup: nodes of a heterogeneous cluster that are alike.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/cluster/topology_options.h"

namespace moesim {

class JsonNode;

struct NodeGroup {
  int nodes = 1;            // groups follow each other in the order of nodes
  std::string accelerator;  // empty = the cluster's
  BytesPerSecond nvlink;    // 0 = the group's accelerator's
  BytesPerSecond nic;       // 0 = the cluster's
  double slow = 1;          // every kernel takes that many times as long, >= 1
};

// A JSON list of {"nodes", "accelerator", "nvlink", "nic", "slow"}; all but "nodes" may be left
// out.
std::vector<NodeGroup> read_node_groups(const JsonNode& node);
int nodes_of(const std::vector<NodeGroup>& groups);

// `slow` of every rank; empty where it is 1 everywhere.
std::vector<double> slow_by_rank(const std::vector<NodeGroup>& groups, int gpus_per_node);

// The accelerator of every node; `usual` is the cluster's. Fills options.by_node where a group's
// links differ from the cluster's. InputError unless the groups together have options.nodes nodes.
std::vector<Accelerator> accelerators_by_node(const std::vector<NodeGroup>& groups,
                                              const Accelerator& usual,
                                              TopologyOptions& options);

}  // namespace moesim
