// Building blocks of a fabric, and the bisection bound.
#include "sim/cluster/fabric.h"

#include <boost/graph/push_relabel_max_flow.hpp>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <limits>
#include <utility>

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

}  // namespace

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

std::vector<LinkEnds> link_ends(const Fabric& fabric) {
  std::vector<LinkEnds> ends(fabric.links.size());
  for (const auto edge : boost::make_iterator_range(boost::edges(fabric.graph)))
    ends[index(fabric.graph[edge])] = {boost::source(edge, fabric.graph),
                                       boost::target(edge, fabric.graph)};
  return ends;
}

std::uint64_t flow_hash(Rank source, Rank destination, std::uint32_t queue_pair) {
  // splitmix64's finaliser: every input bit reaches every output bit, as a switch's hash means to.
  const auto mixed = [](std::uint64_t word) {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;
    return word ^ (word >> 31);
  };
  const auto pair = (static_cast<std::uint64_t>(index(source)) << 32) |
                    static_cast<std::uint32_t>(index(destination));
  return mixed(mixed(pair + 0x9e3779b97f4a7c15ULL) + queue_pair);
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
