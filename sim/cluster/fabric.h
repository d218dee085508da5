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

#include "sim/core/catalog.h"
#include "sim/core/ids.h"
#include "sim/core/units.h"

namespace moesim {

enum class LinkTier {
  nvlink,
  nic,
  leaf_spine
};  // GPU to NVSwitch; GPU to leaf switch; leaf to spine
std::string to_text(LinkTier tier);

struct Link {        // one direction of a cable
  std::string name;  // "nic 37 out", "leaf 3 > spine 1"
  LinkTier tier{};
  BytesPerSecond bandwidth;
  Seconds latency{};
};

enum class DeviceKind { gpu, nvswitch, leaf, spine };
struct Device {
  DeviceKind kind{};
  std::string name;
};

// Vertices are devices (GPUs first: vertex r is rank r), edges are links.
using FabricGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, Device, LinkId>;
using Vertex = boost::graph_traits<FabricGraph>::vertex_descriptor;

// Appends the links from source to destination in order; static: the same (source, destination,
// queue_pair) always takes the same path. Nothing is appended when source == destination.
using Route = std::function<void(
    Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>& path)>;

struct Fabric {
  std::string topology;
  int ranks = 0;
  int ranks_per_node = 0;  // = GPUs of one NVLink domain in the fabrics so far
  FabricGraph graph;
  std::vector<Link> links;
  Route route;

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

// What a scenario says about the fabric; a topology refuses what it cannot build (InputError naming
// the option).
struct TopologyOptions {
  int nodes = 1;
  int gpus_per_node = 8;
  BytesPerSecond nvlink;        // one direction, one GPU
  BytesPerSecond nic;           // one direction, one GPU
  Seconds nvlink_latency{};     // GPU to GPU
  Seconds nic_latency{};        // GPU to GPU within one leaf
  Seconds spine_latency{};      // added by leaf-spine-leaf
  double oversubscription = 1;  // leaf downlink over uplink bandwidth, >= 1
  bool ecmp = false;            // hash flows onto spines instead of spreading by rank
  int nodes_per_leaf = 32;      // more nodes than this give every rail a further leaf
};

// Throws InputError naming the option unless counts are at least 1 (65,536 ranks at most),
// bandwidths above 0, latencies not negative and oversubscription at least 1.
void check_options(const TopologyOptions& options);

using TopologyPart = std::function<Fabric(const TopologyOptions&)>;

// Max-flow from the first half of the ranks to the second, both joined to a terminal without limit
// (Boost.Graph push-relabel): no exchange moves more bytes a second between the halves. Infinite
// for one rank. Takes tens of milliseconds at 1024 ranks, so keep the result.
BytesPerSecond bisection_bandwidth(const Fabric& fabric);

}  // namespace moesim
