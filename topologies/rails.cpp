// Leaves, spines and planes, and the choice among them.
#include "topologies/rails.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

struct Rails {
  int gpus_per_node, rails, planes;
  int nodes_per_leaf, groups, spines;  // groups of nodes that share leaves; spines of a plane
  bool ecmp;
  std::vector<Fabric::Cable> nics;     // by rank * planes + plane, seen from the GPU
  std::vector<Fabric::Cable> uplinks;  // by leaf * spines + spine, seen from the leaf

  int leaves_of_plane() const { return groups * rails; }
  int trays() const { return gpus_per_node / rails; }  // GPUs of one node in one rail

  // Divisions are slow and routes many: what they give is kept, by rank.
  std::vector<int> first_leaves, ports;
  void number(int ranks);

  // Leaves are numbered plane by plane, group of nodes after group, rail by rail within.
  int leaf_of(int rank, int plane) const {
    return plane * leaves_of_plane() + first_leaves[static_cast<std::size_t>(rank)];
  }
  const Fabric::Cable& nic(int rank, int plane) const {
    return nics[static_cast<std::size_t>(rank) * static_cast<std::size_t>(planes) +
                static_cast<std::size_t>(plane)];
  }
  const Fabric::Cable& uplink(int leaf, int spine) const {
    return uplinks[static_cast<std::size_t>(leaf) * static_cast<std::size_t>(spines) +
                   static_cast<std::size_t>(spine)];
  }
  int port_of(int rank) const { return ports[static_cast<std::size_t>(rank)]; }
  void route(Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>&) const;
};

// A rank's port on its leaf is moved on by one from rail to rail.
void Rails::number(int ranks) {
  for (int rank = 0; rank < ranks; ++rank) {
    const int node = rank / gpus_per_node, local = rank % gpus_per_node;
    first_leaves.push_back(node / nodes_per_leaf * rails + local % rails);
    ports.push_back(node * trays() + local / rails + local % rails);
  }
}

// Spreading is by destination: with as many spines as a leaf has ports, a link down to a leaf then
// carries what one GPU takes in, and the destinations that share an uplink sit in different nodes:
// a uniform all-to-all loads all alike, and one hot node not one uplink. The plane depends on both
// ends, since both their NICs are split over the planes.
void Rails::route(Rank source,
                  Rank destination,
                  std::uint32_t queue_pair,
                  std::vector<LinkId>& path) const {
  const int from = static_cast<int>(source), to = static_cast<int>(destination);
  const std::uint64_t choice =
      ecmp ? flow_hash(source, destination, queue_pair)
           : static_cast<std::uint64_t>(port_of(from) + port_of(to)) + queue_pair;
  const int plane = static_cast<int>(choice % static_cast<std::uint64_t>(planes));
  path.push_back(nic(from, plane).out);
  const int up = leaf_of(from, plane), down = leaf_of(to, plane);
  if (up != down) {
    const std::uint64_t among = ecmp ? choice / static_cast<std::uint64_t>(planes)
                                     : static_cast<std::uint64_t>(port_of(to));
    const int spine = static_cast<int>(among % static_cast<std::uint64_t>(spines));
    path.push_back(uplink(up, spine).out);
    path.push_back(uplink(down, spine).in);
  }
  path.push_back(nic(to, plane).in);
}

std::string plane_suffix(const Rails& rails, int plane) {
  return rails.planes == 1 ? "" : " plane " + std::to_string(plane);
}

std::vector<Vertex> connect_nics(Fabric& fabric, Rails& rails, const TopologyOptions& options) {
  rails.number(fabric.ranks);
  std::vector<Vertex> leaves;
  leaves.reserve(static_cast<std::size_t>(rails.planes) *
                 static_cast<std::size_t>(rails.leaves_of_plane()));
  for (int leaf = 0; leaf < rails.planes * rails.leaves_of_plane(); ++leaf)
    leaves.push_back(fabric.add_device(DeviceKind::leaf, "leaf " + std::to_string(leaf)));
  rails.nics.reserve(static_cast<std::size_t>(fabric.ranks) *
                     static_cast<std::size_t>(rails.planes));
  for (int rank = 0; rank < fabric.ranks; ++rank) {
    const BytesPerSecond each = options.nic_of(rank / rails.gpus_per_node) / rails.planes;
    for (int plane = 0; plane < rails.planes; ++plane)
      rails.nics.push_back(fabric.connect(
          static_cast<Vertex>(rank), leaves[static_cast<std::size_t>(rails.leaf_of(rank, plane))],
          "nic " + std::to_string(rank) + plane_suffix(rails, plane), LinkTier::nic, each,
          options.nic_latency / 2));
  }
  return leaves;
}

void connect_spines(Fabric& fabric,
                    Rails& rails,
                    const TopologyOptions& options,
                    const std::vector<Vertex>& leaves) {
  std::vector<Vertex> spines;
  spines.reserve(static_cast<std::size_t>(rails.planes) * static_cast<std::size_t>(rails.spines));
  for (int spine = 0; spine < rails.planes * rails.spines; ++spine)
    spines.push_back(fabric.add_device(DeviceKind::spine, "spine " + std::to_string(spine)));
  // The uplinks of a full leaf together carry its downlinks' bandwidth over the oversubscription,
  // also where that is no whole number of cables.
  const BytesPerSecond each = options.nic *
                              static_cast<double>(rails.nodes_per_leaf * rails.trays()) /
                              (options.oversubscription * rails.spines * rails.planes);
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    const std::size_t plane = leaf / static_cast<std::size_t>(rails.leaves_of_plane());
    const std::size_t first = plane * static_cast<std::size_t>(rails.spines);
    for (std::size_t spine = first; spine < first + static_cast<std::size_t>(rails.spines); ++spine)
      rails.uplinks.push_back(
          fabric.connect(leaves[leaf], spines[spine],
                         "leaf " + std::to_string(leaf) + " > spine " + std::to_string(spine),
                         LinkTier::leaf_spine, each, options.spine_latency / 2));
  }
}

// As few leaves a rail as hold all nodes, with the nodes dealt evenly to them; a spine for every
// uplink that a full leaf has.
Rails sized(const TopologyOptions& options, int rails) {
  Rails sized;
  sized.gpus_per_node = options.gpus_per_node;
  sized.rails = rails;
  sized.planes = options.planes;
  sized.groups = (options.nodes + options.nodes_per_leaf - 1) / options.nodes_per_leaf;
  sized.nodes_per_leaf = (options.nodes + sized.groups - 1) / sized.groups;
  sized.spines = std::max(1, static_cast<int>(std::lround(sized.nodes_per_leaf * sized.trays() /
                                                          options.oversubscription)));
  sized.ecmp = options.ecmp;
  return sized;
}

}  // namespace

Fabric build_rails(const TopologyOptions& options, const std::string& topology, int rails) {
  Fabric fabric;
  fabric.topology = topology;
  const NodeCables cables(fabric, options);
  auto network = std::make_shared<Rails>(sized(options, rails));
  if (options.nodes > 1)
    connect_spines(fabric, *network, options, connect_nics(fabric, *network, options));
  fabric.route = route_over(cables, network);
  return fabric;
}

}  // namespace moesim
