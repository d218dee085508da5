// Fabrics for the tests of topologies: options, building by name, the links between two ranks.
#pragma once

#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim::test {

inline TopologyOptions options_of(int nodes, int gpus_per_node = 8) {
  using namespace literals;
  TopologyOptions options;
  options.nodes = nodes;
  options.gpus_per_node = gpus_per_node;
  options.nvlink = 450_GBps;
  options.nic = 400_Gbps;
  options.nvlink_latency = 3_us;
  options.nic_latency = 2_us;
  options.spine_latency = 1_us;
  return options;
}

inline Fabric build(const char* topology, const TopologyOptions& options) {
  return Catalog<TopologyPart>::instance().at(topology, "topology")(options);
}

inline std::vector<Link> path_between(const Fabric& fabric, int source, int destination) {
  std::vector<LinkId> path;
  fabric.route(static_cast<Rank>(source), static_cast<Rank>(destination), 0, path);
  std::vector<Link> links;
  for (const LinkId link : path) links.push_back(fabric.links[index(link)]);
  return links;
}

}  // namespace moesim::test
