// The scale-up part that every fabric of nodes has: GPUs first, then each node's NVSwitch or mesh.
#pragma once

#include <memory>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

// Appends the NVLink path between two GPUs of one node.
class NodeCables {
 public:
  // Adds the GPUs of all nodes and their NVLinks to an empty fabric, and names its size.
  NodeCables(Fabric& fabric, const TopologyOptions& options);

  bool same_node(Rank a, Rank b) const { return index(a) / gpus_ == index(b) / gpus_; }
  void route(Rank source, Rank destination, std::vector<LinkId>& path) const;

 private:
  void connect_switch(Fabric& fabric, const TopologyOptions& options);
  void connect_mesh(Fabric& fabric, const TopologyOptions& options);

  std::size_t gpus_;  // a node
  bool mesh_;
  // With a switch by rank, seen from the GPU; in a mesh by node, then by pair of local ranks as
  // cable_of numbers them.
  std::vector<Fabric::Cable> cables_;
};

// A fabric's route: over the node's own cables within a node, else over `network`, a struct with
// route(source, destination, queue_pair, path).
template <class Network>
Route route_over(const NodeCables& cables, const std::shared_ptr<Network>& network) {
  return [cables, network](Rank source, Rank destination, std::uint32_t queue_pair,
                           std::vector<LinkId>& path) {
    if (cables.same_node(source, destination))
      cables.route(source, destination, path);
    else
      network->route(source, destination, queue_pair, path);
  };
}

}  // namespace moesim
