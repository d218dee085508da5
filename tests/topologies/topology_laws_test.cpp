// Laws that every topology of the catalog keeps, at 1 to 1024 ranks.
#include <doctest/doctest.h>

#include <boost/graph/breadth_first_search.hpp>
#include <boost/range/iterator_range.hpp>
#include <map>
#include <set>
#include <utility>

#include "sim/cluster/fabric.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

using namespace literals;

struct Wire {
  Vertex from, to;
};

TopologyOptions options_of(int nodes, int gpus_per_node) {
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

// The fabric of `topology` with that many ranks, in nodes of 8 where it joins nodes, else in one.
Fabric build(const std::string& topology, int ranks) {
  const TopologyPart& part = Catalog<TopologyPart>::instance().at(topology, "topology");
  if (ranks > 8) {
    try {
      return part(options_of(ranks / 8, 8));
    } catch (const InputError&) {
    }
  }
  return part(options_of(1, ranks));
}

std::map<LinkId, Wire> wires_of(const Fabric& fabric) {
  std::map<LinkId, Wire> wires;
  for (const auto edge : boost::make_iterator_range(boost::edges(fabric.graph)))
    wires[fabric.graph[edge]] = {boost::source(edge, fabric.graph),
                                 boost::target(edge, fabric.graph)};
  return wires;
}

std::vector<int> hops_from(const Fabric& fabric, Vertex source) {
  std::vector<int> hops(boost::num_vertices(fabric.graph), -1);
  hops[source] = 0;
  boost::breadth_first_search(fabric.graph, source,
                              boost::visitor(boost::make_bfs_visitor(
                                  boost::record_distances(hops.data(), boost::on_tree_edge()))));
  return hops;
}

template <class Visit>
void for_every_fabric(const Visit& visit) {
  for (const std::string& topology : Catalog<TopologyPart>::instance().names()) {
    for (const int ranks : {1, 8, 64, 1024}) {
      CAPTURE(topology);
      CAPTURE(ranks);
      visit(build(topology, ranks), ranks);
    }
  }
}

TEST_CASE("the catalog holds the topologies") {
  const auto names = Catalog<TopologyPart>::instance().names();
  CHECK(names.size() >= 2);
}

TEST_CASE("every topology numbers its GPUs first and by rank") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    CHECK(fabric.ranks == ranks);
    CHECK(fabric.ranks % fabric.ranks_per_node == 0);
    for (Vertex device = 0; device < boost::num_vertices(fabric.graph); ++device)
      CHECK((fabric.graph[device].kind == DeviceKind::gpu) ==
            (device < static_cast<Vertex>(ranks)));
  });
}

TEST_CASE("every topology joins all devices, both ways with equal cables") {
  for_every_fabric([](const Fabric& fabric, int) {
    const auto wires = wires_of(fabric);
    CHECK(wires.size() == fabric.links.size());
    std::map<std::pair<Vertex, Vertex>, double> bandwidth;
    for (const auto& wire : wires)
      bandwidth[{wire.second.from, wire.second.to}] +=
          fabric.links[index(wire.first)].bandwidth.value;
    for (const auto& pair : bandwidth)
      CHECK(bandwidth.at({pair.first.second, pair.first.first}) == pair.second);
    for (const int hops : hops_from(fabric, 0)) CHECK(hops >= 0);
    for (const Link& link : fabric.links) {
      CHECK(link.bandwidth.value > 0);
      CHECK(link.latency.count() >= 0);
    }
  });
}

TEST_CASE("every topology names its links apart") {
  for_every_fabric([](const Fabric& fabric, int) {
    std::set<std::string> names;
    for (const Link& link : fabric.links) names.insert(link.name);
    CHECK(names.size() == fabric.links.size());
  });
}

// A NIC path may be longer than the shortest one over another node's NVLink, never by more than the
// way up to a spine and down.
TEST_CASE("every route is a contiguous, loop-free path and no detour") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    const auto wires = wires_of(fabric);
    Random random(7);
    std::vector<LinkId> path, again;
    for (int trial = 0; trial < 400; ++trial) {
      const Vertex source = random.below(static_cast<std::uint64_t>(ranks));
      const Vertex destination = random.below(static_cast<std::uint64_t>(ranks));
      path.clear();
      again.clear();
      fabric.route(id_of<Rank>(source), id_of<Rank>(destination), 3, path);
      fabric.route(id_of<Rank>(source), id_of<Rank>(destination), 3, again);
      CHECK(path == again);
      Vertex at = source;
      std::set<Vertex> seen{at};
      for (const LinkId link : path) {
        REQUIRE(wires.at(link).from == at);
        at = wires.at(link).to;
        CHECK(seen.insert(at).second);
      }
      CHECK(at == destination);
      if (trial % 40 == 0) {
        const int shortest = hops_from(fabric, source)[destination];
        CHECK(static_cast<int>(path.size()) >= shortest);
        CHECK(static_cast<int>(path.size()) <= shortest + 2);
      }
    }
  });
}

TEST_CASE("no topology sends through a third GPU") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    const auto wires = wires_of(fabric);
    std::vector<LinkId> path;
    for (int destination = 1; destination < ranks; destination += 1 + ranks / 50) {
      path.clear();
      fabric.route(Rank{0}, static_cast<Rank>(destination), 0, path);
      for (std::size_t hop = 0; hop + 1 < path.size(); ++hop)
        CHECK(wires.at(path[hop]).to >= static_cast<Vertex>(ranks));
    }
  });
}

TEST_CASE("every topology refuses what it cannot build, naming the option") {
  const auto refused = [](const TopologyPart& part, const TopologyOptions& options) {
    try {
      part(options);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const auto& entry : Catalog<TopologyPart>::instance().entries()) {
    CAPTURE(entry.first);
    const TopologyPart& part = entry.second.part;
    TopologyOptions options = options_of(0, 8);
    CHECK(refused(part, options).find("nodes") != std::string::npos);
    options = options_of(1, 0);
    CHECK(refused(part, options).find("gpus_per_node") != std::string::npos);
    options = options_of(1, 8);
    options.nvlink = BytesPerSecond(0);
    CHECK(refused(part, options).find("nvlink") != std::string::npos);
    options = options_of(1, 8);
    options.oversubscription = 0.5;
    CHECK(refused(part, options).find("oversubscription") != std::string::npos);
    options = options_of(1, 8);
    options.spine_latency = Seconds(-1);
    CHECK(refused(part, options).find("spine_latency") != std::string::npos);
  }
}

}  // namespace
}  // namespace moesim
