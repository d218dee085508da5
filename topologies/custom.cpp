// custom: a fabric from a JSON file of devices and links (sim/cluster/fabric_file.h). Paths cost
// least, a link costing 1 / bandwidth as in OSPF (RFC 2328), and lead through no third GPU; equal
// paths share the traffic.
#include "sim/cluster/fabric.h"

// Boost 1.74's named parameters leave iterators that g++ 12 takes for uninitialised.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/property_map/function_property_map.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "sim/cluster/equal_hops.h"
#include "sim/cluster/fabric_file.h"

namespace moesim {
namespace {

// Whole numbers, so that equal costs compare equal: 1e15 / (B/s) is 20,000 for 400 Gb/s.
using Cost = std::uint32_t;
constexpr Cost kUnreached = std::numeric_limits<Cost>::max();

Cost cost_of(const Link& link) {
  return static_cast<Cost>(std::lround(std::clamp(1e15 / link.bandwidth.value, 1.0, 1e8)));
}

struct Hop {
  LinkId link{};
  Vertex to = 0;
  Cost cost = 0;
};

struct Paths {
  std::size_t ranks = 0, ranks_per_node = 1, devices = 0;
  bool ecmp = false;
  std::vector<std::vector<Hop>> hops;  // by device
  std::vector<Cost> left;              // cost to rank, by rank * devices + device

  void route(Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>&) const;
};

void Paths::route(Rank source,
                  Rank destination,
                  std::uint32_t queue_pair,
                  std::vector<LinkId>& path) const {
  if (source == destination) return;
  const std::size_t goal = index(destination);
  const Cost* const to_goal = left.data() + goal * devices;
  // Spreading is by destination, moved on by one from node to node, so that neither the GPUs of a
  // node nor those of the same local rank take one way all.
  const std::uint64_t start = ecmp ? flow_hash(source, destination, queue_pair)
                                   : goal / ranks_per_node + goal % ranks_per_node;
  append_way(
      {index(source), goal, ranks, start}, hops,
      [&](Vertex at, const Hop& hop) {
        return to_goal[hop.to] != kUnreached && to_goal[hop.to] + hop.cost == to_goal[at];
      },
      path);
}

// A GPU passes nothing on: edges leave switches and the GPU that paths are sought to.
struct LeavesNoOtherGpu {
  const FabricGraph* graph = nullptr;
  Vertex ranks = 0, goal = 0;
  template <class Edge>
  bool operator()(const Edge& edge) const {
    const Vertex from = boost::source(edge, *graph);
    return from >= ranks || from == goal;
  }
};

// Cables cost the same both ways, so the costs from a rank are those to it.
void find_costs(const Fabric& fabric, Paths& paths) {
  using Edge = boost::graph_traits<FabricGraph>::edge_descriptor;
  const auto weight = boost::make_function_property_map<Edge>(
      [&](const Edge& edge) { return cost_of(fabric.links[index(fabric.graph[edge])]); });
  paths.left.assign(paths.ranks * paths.devices, kUnreached);
  for (Vertex goal = 0; goal < paths.ranks; ++goal) {
    const LeavesNoOtherGpu allowed{&fabric.graph, paths.ranks, goal};
    const boost::filtered_graph<FabricGraph, LeavesNoOtherGpu> graph(fabric.graph, allowed);
    Cost* const costs = paths.left.data() + goal * paths.devices;
    boost::dijkstra_shortest_paths(graph, goal,
                                   boost::weight_map(weight)
                                       .distance_map(boost::make_iterator_property_map(
                                           costs, boost::get(boost::vertex_index, fabric.graph)))
                                       .distance_inf(kUnreached));
    for (Vertex source = 0; source < paths.ranks; ++source) {
      if (costs[source] == kUnreached)
        refuse_option("graph", "no path joins \"" + fabric.graph[source].name + "\" and \"" +
                                   fabric.graph[goal].name +
                                   "\" (a path leads through no third GPU)");
    }
  }
}

std::shared_ptr<const Paths> paths_of(const Fabric& fabric, bool ecmp) {
  auto paths = std::make_shared<Paths>();
  paths->ranks = static_cast<std::size_t>(fabric.ranks);
  paths->ranks_per_node = static_cast<std::size_t>(fabric.ranks_per_node);
  paths->devices = boost::num_vertices(fabric.graph);
  paths->ecmp = ecmp;
  paths->hops.resize(paths->devices);
  const std::vector<LinkEnds> ends = link_ends(fabric);
  for (std::size_t link = 0; link < ends.size(); ++link)
    paths->hops[ends[link].from].push_back(
        {id_of<LinkId>(link), ends[link].to, cost_of(fabric.links[link])});
  find_costs(fabric, *paths);
  return paths;
}

FabricFile read_graph(const TopologyOptions& options) {
  if (options.graph.empty())
    refuse_option("graph",
                  "topology \"custom\" wants the path of a JSON file of devices and links");
  FabricFile graph = read_fabric_file(options.graph);
  constexpr int kMostRanks = 4096;  // the costs kept are ranks times devices
  if (graph.nodes * graph.gpus_per_node > kMostRanks)
    refuse_option("graph", options.graph + " holds more than 4096 GPUs");
  const auto agree = [&](const char* option, int wanted, int given) {
    if (wanted != given)
      refuse_option(option, std::to_string(given) + " does not agree with " + options.graph +
                                ", which holds " + std::to_string(graph.nodes) + " nodes of " +
                                std::to_string(graph.gpus_per_node) + " GPUs");
  };
  agree("nodes", graph.nodes, options.nodes);
  agree("gpus_per_node", graph.gpus_per_node, options.gpus_per_node);
  if (!options.by_node.empty())
    refuse_option("node_groups", "topology \"custom\" has its bandwidths from the graph");
  return graph;
}

void add_devices(const FabricFile& graph, Fabric& fabric) {
  std::vector<Vertex> vertex(graph.devices.size());
  for (const bool gpus : {true, false}) {  // ranks first
    for (std::size_t device = 0; device < graph.devices.size(); ++device) {
      const Device& one = graph.devices[device];
      if ((one.kind == DeviceKind::gpu) == gpus)
        vertex[device] = fabric.add_device(one.kind, one.name);
    }
  }
  std::set<std::string> names;
  for (const FabricFile::Cable& cable : graph.cables) {
    const std::string base = cable.name.empty()
                                 ? graph.devices[cable.a].name + " - " + graph.devices[cable.b].name
                                 : cable.name;
    std::string name = base;
    for (int copy = 2; !names.insert(name).second; ++copy)
      name = base + " (" + std::to_string(copy) + ")";
    fabric.connect(vertex[cable.a], vertex[cable.b], name, cable.tier, cable.bandwidth,
                   cable.latency);
  }
}

const std::vector<std::string> kOptions{"graph"};

Fabric build_custom(const TopologyOptions& options) {
  TopologyOptions checked = options;
  if (checked.nic == BytesPerSecond{}) checked.nic = checked.nvlink;  // the graph states it
  check_options(checked, "custom", kOptions);
  const FabricFile graph = read_graph(options);
  Fabric fabric;
  fabric.topology = "custom";
  fabric.ranks = options.nodes * options.gpus_per_node;
  fabric.ranks_per_node = options.gpus_per_node;
  add_devices(graph, fabric);
  const auto paths = paths_of(fabric, options.ecmp);
  fabric.route = [paths](Rank source, Rank destination, std::uint32_t queue_pair,
                         std::vector<LinkId>& path) {
    paths->route(source, destination, queue_pair, path);
  };
  return fabric;
}

const Registered<TopologyPart> registered{
    "custom", "devices and links of a JSON file, least-cost paths", {build_custom, kOptions}};

}  // namespace
}  // namespace moesim
