// Fabric: devices and links as a Boost.Graph, and the path between any two ranks. A topology is one
// .cpp in topologies/ that calls connect() in loops, gives a route, and registers a TopologyPart.
#pragma once

// Boost 1.74's graphs are copied where they could be moved, and g++ 12 then takes their iterators
// for uninitialised.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <boost/graph/adjacency_list.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/cluster/topology_options.h"
#include "sim/core/catalog.h"
#include "sim/core/ids.h"
#include "sim/core/units.h"

namespace moesim {

enum class LinkTier {
  nvlink,            // GPU to NVSwitch or to another GPU, xGMI included
  nic,               // GPU to its switch of the scale-out network
  leaf_spine,        // leaf to spine switch (edge to aggregation in a fat tree)
  spine_core,        // spine to core switch
  dragonfly_local,   // between the switches of a dragonfly group
  dragonfly_global,  // between dragonfly groups
  torus,             // between neighbours of a torus
  pcie,              // GPU or NIC to PCIe switch or CPU
  host               // CPU to CPU
};
std::string to_text(LinkTier tier);            // for people: "NVLink", "leaf-spine"
const std::vector<std::string>& tier_names();  // in JSON, in the order above: "leaf_spine"
std::string tier_name(LinkTier tier);          // its name in JSON
LinkTier tier_named(const std::string& name);  // InputError with the nearest name

struct Link {        // one direction of a cable
  std::string name;  // "nic 37 out", "leaf 3 > spine 1"
  LinkTier tier{};
  BytesPerSecond bandwidth;
  Seconds latency{};
};

enum class DeviceKind { gpu, nvswitch, leaf, spine, core, fabric_switch, pcie_switch, cpu, nic };
const std::vector<std::string>& device_kind_names();  // in the order above
std::string to_text(DeviceKind kind);
DeviceKind device_kind_named(const std::string& name);  // InputError with the nearest name

struct Device {
  DeviceKind kind{};
  std::string name;
};

// Vertices are devices (GPUs first: vertex r is rank r), edges are links.
using FabricGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, Device, LinkId>;
using Vertex = boost::graph_traits<FabricGraph>::vertex_descriptor;

// Appends the links from source to destination in order; static: the same (source, destination,
// queue_pair) always takes the same path. Nothing is appended when source == destination. Several
// threads may ask at once.
using Route = std::function<void(
    Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>& path)>;

struct Fabric {
  std::string topology;
  int ranks = 0;
  int ranks_per_node = 0;  // GPUs of one NVLink domain: a node, or a rack in nvl72
  // How switches are numbered, for who draws them: {x, y, z} of a torus, {groups, switches a group}
  // of a dragonfly; empty elsewhere.
  std::vector<int> switch_grid;
  FabricGraph graph;
  std::vector<Link> links;
  Route route;
  // By rank, whether the GPU passes on what is not its own: so it does for neighbours that have
  // lost links (sim/cluster/detours.h). Empty = none does.
  std::vector<char> passes_on = {};

  Vertex add_device(DeviceKind kind, std::string name);
  // A full-duplex cable between two devices: two links, one each way ("<name> out" from `a`,
  // "<name> in" to it).
  struct Cable {
    LinkId out, in;
  };
  Cable connect(Vertex a,
                Vertex b,
                const std::string& name,
                LinkTier tier,
                BytesPerSecond bandwidth,
                Seconds latency);

  int nodes() const { return ranks / ranks_per_node; }
  int node_of(Rank rank) const { return static_cast<int>(index(rank)) / ranks_per_node; }
  bool same_node(Rank a, Rank b) const { return node_of(a) == node_of(b); }
};

struct TopologyPart {
  std::function<Fabric(const TopologyOptions&)> build;
  // Keys of "cluster" that mean nothing to other topologies: check_options' `meant`.
  std::vector<std::string> options = {};

  Fabric operator()(const TopologyOptions& given) const { return build(given); }
};

// The two devices of every link, by LinkId.
struct LinkEnds {
  Vertex from = 0, to = 0;
};
std::vector<LinkEnds> link_ends(const Fabric& fabric);

// The hash by which a switch with static ECMP picks among equal paths: the same (source,
// destination, queue pair) always the same; other triples spread evenly.
std::uint64_t flow_hash(Rank source, Rank destination, std::uint32_t queue_pair);

// Max-flow from the first half of the ranks to the second, both joined to a terminal without limit
// (Boost.Graph push-relabel): no exchange moves more bytes a second between the halves. Infinite
// for one rank. Takes tens of milliseconds at 1024 ranks, so keep the result.
BytesPerSecond bisection_bandwidth(const Fabric& fabric);

}  // namespace moesim
