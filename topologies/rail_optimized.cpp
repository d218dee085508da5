// rail_optimized: an NVSwitch in every node, a NIC for every GPU, one leaf switch for each rail
// (the GPUs of the same local rank), spines that join all leaves. The same node is reached over
// NVLink, the same rail through its leaf, another rail through a spine.
#include <algorithm>
#include <cmath>
#include <string>

#include "sim/cluster/fabric.h"

namespace moesim {
namespace {

struct Rails {
  int gpus_per_node, nodes_per_leaf, spines;
  bool ecmp;
  std::vector<Fabric::Cable> nvlinks, nics;  // by rank, seen from the GPU
  std::vector<Fabric::Cable> uplinks;        // by leaf * spines + spine, seen from the leaf

  // Leaves are numbered group of nodes after group, rail by rail within.
  int leaf_of(int rank) const {
    return rank / gpus_per_node / nodes_per_leaf * gpus_per_node + rank % gpus_per_node;
  }
  std::size_t uplink_of(int leaf, int spine) const {
    return static_cast<std::size_t>(leaf) * static_cast<std::size_t>(spines) +
           static_cast<std::size_t>(spine);
  }
  int spine_of(int source, int destination, std::uint32_t queue_pair) const;
  void route(Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>&) const;
};

// splitmix64's finaliser: every input bit reaches every output bit, as a switch's hash means to.
std::uint64_t mixed(std::uint64_t word) {
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;
  return word ^ (word >> 31);
}

// Spreading is by destination. With as many spines as a leaf has nodes, a link down to a leaf then
// carries what one GPU takes in, and the destinations that share an uplink sit in different nodes:
// a uniform all-to-all loads all alike, and one hot node not one uplink.
int Rails::spine_of(int source, int destination, std::uint32_t queue_pair) const {
  if (!ecmp) return (destination / gpus_per_node + destination % gpus_per_node) % spines;
  const auto pair =
      (static_cast<std::uint64_t>(source) << 32) | static_cast<std::uint32_t>(destination);
  const std::uint64_t hash = mixed(mixed(pair + 0x9e3779b97f4a7c15ULL) + queue_pair);
  return static_cast<int>(hash % static_cast<std::uint64_t>(spines));
}

void Rails::route(Rank source,
                  Rank destination,
                  std::uint32_t queue_pair,
                  std::vector<LinkId>& path) const {
  if (source == destination) return;
  const int from = static_cast<int>(source), to = static_cast<int>(destination);
  const bool same_node = from / gpus_per_node == to / gpus_per_node;
  const std::vector<Fabric::Cable>& ports = same_node ? nvlinks : nics;
  path.push_back(ports[index(source)].out);
  if (!same_node && leaf_of(from) != leaf_of(to)) {
    const int spine = spine_of(from, to, queue_pair);
    path.push_back(uplinks[uplink_of(leaf_of(from), spine)].out);
    path.push_back(uplinks[uplink_of(leaf_of(to), spine)].in);
  }
  path.push_back(ports[index(destination)].in);
}

void connect_nodes(Fabric& fabric, Rails& rails, const TopologyOptions& options) {
  for (int node = 0; node < options.nodes; ++node) {
    const Vertex nvswitch =
        fabric.add_device(DeviceKind::nvswitch, "nvswitch " + std::to_string(node));
    for (int local = 0; local < options.gpus_per_node; ++local) {
      const int rank = node * options.gpus_per_node + local;
      rails.nvlinks.push_back(fabric.connect(static_cast<Vertex>(rank), nvswitch,
                                             "nvlink " + std::to_string(rank), LinkTier::nvlink,
                                             options.nvlink, options.nvlink_latency / 2));
    }
  }
}

void connect_leaves(Fabric& fabric, Rails& rails, const TopologyOptions& options) {
  const int groups = (options.nodes + rails.nodes_per_leaf - 1) / rails.nodes_per_leaf;
  std::vector<Vertex> leaves;
  leaves.reserve(static_cast<std::size_t>(groups) *
                 static_cast<std::size_t>(options.gpus_per_node));
  for (int leaf = 0; leaf < groups * options.gpus_per_node; ++leaf)
    leaves.push_back(fabric.add_device(DeviceKind::leaf, "leaf " + std::to_string(leaf)));
  for (int rank = 0; rank < fabric.ranks; ++rank)
    rails.nics.push_back(fabric.connect(
        static_cast<Vertex>(rank), leaves[static_cast<std::size_t>(rails.leaf_of(rank))],
        "nic " + std::to_string(rank), LinkTier::nic, options.nic, options.nic_latency / 2));

  std::vector<Vertex> spines;
  spines.reserve(static_cast<std::size_t>(rails.spines));
  for (int spine = 0; spine < rails.spines; ++spine)
    spines.push_back(fabric.add_device(DeviceKind::spine, "spine " + std::to_string(spine)));
  // The uplinks of a full leaf together carry its downlinks' bandwidth over the oversubscription,
  // also where that is no whole number of cables.
  const BytesPerSecond uplink = options.nic * static_cast<double>(rails.nodes_per_leaf) /
                                (options.oversubscription * rails.spines);
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    for (std::size_t spine = 0; spine < spines.size(); ++spine)
      rails.uplinks.push_back(
          fabric.connect(leaves[leaf], spines[spine],
                         "leaf " + std::to_string(leaf) + " > spine " + std::to_string(spine),
                         LinkTier::leaf_spine, uplink, options.spine_latency / 2));
  }
}

Fabric build_rail_optimized(const TopologyOptions& options) {
  check_options(options);
  Fabric fabric;
  fabric.topology = "rail_optimized";
  fabric.ranks = options.nodes * options.gpus_per_node;
  fabric.ranks_per_node = options.gpus_per_node;
  for (int rank = 0; rank < fabric.ranks; ++rank)
    fabric.add_device(DeviceKind::gpu, "gpu " + std::to_string(rank));

  // As few leaves a rail as hold all nodes, with the nodes dealt evenly to them.
  const int groups = (options.nodes + options.nodes_per_leaf - 1) / options.nodes_per_leaf;
  const int nodes_per_leaf = (options.nodes + groups - 1) / groups;
  const int spines =
      std::max(1, static_cast<int>(std::lround(nodes_per_leaf / options.oversubscription)));
  Rails rails{options.gpus_per_node, nodes_per_leaf, spines, options.ecmp, {}, {}, {}};
  connect_nodes(fabric, rails, options);
  if (options.nodes > 1) connect_leaves(fabric, rails, options);
  fabric.route = [rails](Rank source, Rank destination, std::uint32_t queue_pair,
                         std::vector<LinkId>& path) {
    rails.route(source, destination, queue_pair, path);
  };
  return fabric;
}

const Registered<TopologyPart> registered{
    "rail_optimized", "nodes of NVLink, one leaf switch for each rail, spines across rails",
    build_rail_optimized};

}  // namespace
}  // namespace moesim
