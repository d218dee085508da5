// Building blocks of a fabric, what every topology refuses, and the bisection bound.
#include "sim/cluster/fabric.h"

#include <boost/graph/push_relabel_max_flow.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/core/error.h"

namespace moesim {
namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;

// Capacities are whole bytes a second: push-relabel compares residuals with zero, which doubles
// miss by a last bit.
struct FlowEdge {
  std::int64_t capacity = 0, residual = 0;
  Traits::edge_descriptor reverse{};
};
using FlowGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, FlowEdge>;

void add_capacity(FlowGraph& graph, Vertex from, Vertex to, std::int64_t capacity) {
  const auto forward = boost::add_edge(from, to, graph).first;
  const auto backward = boost::add_edge(to, from, graph).first;
  graph[forward].capacity = capacity;
  graph[forward].reverse = backward;
  graph[backward].reverse = forward;
}

void refuse(const std::string& option, const std::string& message) {
  throw InputError(Location{"", 0, 0, "cluster." + option}, message);
}

}  // namespace

std::string to_text(LinkTier tier) {
  switch (tier) {
    case LinkTier::nvlink:
      return "NVLink";
    case LinkTier::nic:
      return "NIC";
    case LinkTier::leaf_spine:
      return "leaf-spine";
  }
  return "";
}

Vertex Fabric::add_device(DeviceKind kind, std::string name) {
  return boost::add_vertex(Device{kind, std::move(name)}, graph);
}

// NOLINTNEXTLINE(readability-function-size): a cable is these six facts
Fabric::Cable Fabric::connect(Vertex a,
                              Vertex b,
                              const std::string& name,
                              LinkTier tier,
                              BytesPerSecond bandwidth,
                              Seconds latency) {
  const Cable cable{id_of<LinkId>(links.size()), id_of<LinkId>(links.size() + 1)};
  links.push_back(Link{name + " out", tier, bandwidth, latency});
  links.push_back(Link{name + " in", tier, bandwidth, latency});
  boost::add_edge(a, b, cable.out, graph);
  boost::add_edge(b, a, cable.in, graph);
  return cable;
}

void check_options(const TopologyOptions& options) {
  const auto at_least_one = [](const std::string& option, int value) {
    if (value < 1) refuse(option, std::to_string(value) + " is not allowed; at least 1");
  };
  at_least_one("nodes", options.nodes);
  at_least_one("gpus_per_node", options.gpus_per_node);
  at_least_one("nodes_per_leaf", options.nodes_per_leaf);
  constexpr std::int64_t kMostRanks = 65536;
  const std::int64_t ranks = std::int64_t{options.nodes} * options.gpus_per_node;
  if (ranks > kMostRanks)
    refuse("nodes", std::to_string(ranks) + " GPUs are not allowed; at most 65536");

  const auto above_zero = [](const std::string& option, BytesPerSecond rate) {
    if (!(rate.value >= 1) || !std::isfinite(rate.value))
      refuse(option, "bandwidth must be above 0, as in \"400 Gb/s\"");
  };
  above_zero("nvlink", options.nvlink);
  if (options.nodes > 1) above_zero("nic", options.nic);

  const auto not_negative = [](const std::string& option, Seconds latency) {
    if (!(latency.count() >= 0) || !std::isfinite(latency.count()))
      refuse(option, "latency must not be negative, as in \"2 us\"");
  };
  not_negative("nvlink_latency", options.nvlink_latency);
  not_negative("nic_latency", options.nic_latency);
  not_negative("spine_latency", options.spine_latency);
  if (!(options.oversubscription >= 1) || !std::isfinite(options.oversubscription))
    refuse("oversubscription", "must be at least 1 (1 = non-blocking)");
}

BytesPerSecond bisection_bandwidth(const Fabric& fabric) {
  if (fabric.ranks < 2) return BytesPerSecond(std::numeric_limits<double>::infinity());
  const std::size_t devices = boost::num_vertices(fabric.graph);
  FlowGraph graph(devices + 2);
  const Vertex source = devices, sink = devices + 1;
  double total = 0;
  for (const auto edge : boost::make_iterator_range(boost::edges(fabric.graph))) {
    const double bandwidth = fabric.links[index(fabric.graph[edge])].bandwidth.value;
    total += bandwidth;
    add_capacity(graph, boost::source(edge, fabric.graph), boost::target(edge, fabric.graph),
                 std::llround(bandwidth));
  }
  const auto ranks = static_cast<std::size_t>(fabric.ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const bool first_half = rank < ranks / 2;
    add_capacity(graph, first_half ? source : rank, first_half ? rank : sink, std::llround(total));
  }
  const std::int64_t flow = boost::push_relabel_max_flow(
      graph, source, sink, boost::get(&FlowEdge::capacity, graph),
      boost::get(&FlowEdge::residual, graph), boost::get(&FlowEdge::reverse, graph),
      boost::get(boost::vertex_index, graph));
  return BytesPerSecond(static_cast<double>(flow));
}

}  // namespace moesim
