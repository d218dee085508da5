// Facts of each topology, derived from its options.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/topologies/fabric_fixture.h"

namespace moesim {
namespace {

using namespace literals;
using test::build;
using test::options_of;
using test::path_between;

double latency_between(const Fabric& fabric, int source, int destination) {
  double latency = 0;
  for (const Link& link : path_between(fabric, source, destination))
    latency += link.latency.count();
  return latency;
}

int count(const Fabric& fabric, DeviceKind kind) {
  int devices = 0;
  for (Vertex device = 0; device < boost::num_vertices(fabric.graph); ++device)
    devices += fabric.graph[device].kind == kind ? 1 : 0;
  return devices;
}

// Bandwidth of all cables from the leaf that joins rank 0 up to the spines.
double uplinks_of_leaf_0(const Fabric& fabric) {
  double total = 0;
  for (const Link& link : fabric.links) {
    if (link.name.starts_with("leaf 0 >") && link.name.ends_with(" out"))
      total += link.bandwidth.value;
  }
  return total;
}

TEST_CASE("400 Gb/s of a NIC are 50 GB/s on its link") {
  CHECK(400_Gbps == 50_GBps);
  const Fabric fabric = build("rail_optimized", options_of(2));
  CHECK(path_between(fabric, 0, 8).front().bandwidth == 50_GBps);
}

TEST_CASE("the halves of a single node exchange at four NVLinks") {
  const Fabric fabric = build("single_node", options_of(1));
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(4 * 450e9));
}

TEST_CASE("a single node joins one node only") {
  CHECK_THROWS_WITH_AS(build("single_node", options_of(2)), doctest::Contains("rail_optimized"),
                       InputError);
}

TEST_CASE("rails: the same node over NVLink, the same rail over one leaf, others over a spine") {
  const Fabric fabric = build("rail_optimized", options_of(4));
  CHECK(count(fabric, DeviceKind::nvswitch) == 4);
  CHECK(count(fabric, DeviceKind::leaf) == 8);
  CHECK(count(fabric, DeviceKind::spine) == 4);
  CHECK(path_between(fabric, 0, 7).size() == 2);
  CHECK(path_between(fabric, 0, 7).front().tier == LinkTier::nvlink);
  CHECK(path_between(fabric, 1, 9).size() == 2);
  CHECK(path_between(fabric, 1, 9).front().tier == LinkTier::nic);
  CHECK(path_between(fabric, 1, 10).size() == 4);
  CHECK(path_between(fabric, 1, 10)[1].tier == LinkTier::leaf_spine);
  CHECK(latency_between(fabric, 0, 7) == doctest::Approx(3e-6));
  CHECK(latency_between(fabric, 1, 9) == doctest::Approx(2e-6));
  CHECK(latency_between(fabric, 1, 10) == doctest::Approx(3e-6));
}

TEST_CASE("a leaf's uplinks together carry its downlinks over the oversubscription") {
  for (const double oversubscription : {1.0, 1.5, 2.0, 3.0, 4.0, 16.0}) {
    TopologyOptions options = options_of(8);
    options.oversubscription = oversubscription;
    const Fabric fabric = build("rail_optimized", options);
    CHECK(uplinks_of_leaf_0(fabric) == doctest::Approx(8 * 50e9 / oversubscription));
  }
}

TEST_CASE("nodes beyond a leaf's share add leaves to every rail, evenly filled") {
  TopologyOptions options = options_of(40);
  const Fabric fabric = build("rail_optimized", options);
  CHECK(count(fabric, DeviceKind::leaf) == 16);   // two a rail, 20 nodes each
  CHECK(count(fabric, DeviceKind::spine) == 20);  // a full leaf's uplinks
  CHECK(uplinks_of_leaf_0(fabric) == doctest::Approx(20 * 50e9));
  CHECK(path_between(fabric, 0, 19 * 8).size() == 2);
  CHECK(path_between(fabric, 0, 20 * 8).size() == 4);
}

TEST_CASE("two nodes exchange all their NICs' bandwidth, half of it when 2:1 cuts their rails") {
  TopologyOptions options = options_of(2);
  CHECK(bisection_bandwidth(build("rail_optimized", options)).value == doctest::Approx(8 * 50e9));
  options.nodes_per_leaf = 1;  // every path between the nodes climbs to a spine
  options.oversubscription = 2;
  CHECK(bisection_bandwidth(build("rail_optimized", options)).value == doctest::Approx(4 * 50e9));
}

TEST_CASE("one rank has no halves, so its bisection never limits") {
  TopologyOptions options = options_of(1);
  options.gpus_per_node = 1;
  CHECK(std::isinf(bisection_bandwidth(build("single_node", options)).value));
}

TEST_CASE("1024 ranks: 128 nodes exchange all their NICs' bandwidth between the halves") {
  const Fabric fabric = build("rail_optimized", options_of(128));
  CHECK(fabric.ranks == 1024);
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(512 * 50e9));
}

TEST_CASE("spreading by rank loads every uplink alike under a uniform all-to-all") {
  const Fabric fabric = build("rail_optimized", options_of(4));
  std::vector<int> flows(fabric.links.size());
  std::vector<LinkId> path;
  for (int source = 0; source < 32; ++source) {
    for (int destination = 0; destination < 32; ++destination) {
      path.clear();
      fabric.route(static_cast<Rank>(source), static_cast<Rank>(destination), 0, path);
      for (const LinkId link : path) ++flows[index(link)];
    }
  }
  // Four GPUs of a leaf each send to 7 other rails in 3 other nodes, over 4 spines.
  for (std::size_t link = 0; link < flows.size(); ++link) {
    if (fabric.links[link].tier == LinkTier::leaf_spine) CHECK(flows[link] == 4 * 7 * 3 / 4);
  }
}

TEST_CASE("ECMP spreads queue pairs of one pair of ranks and keeps each on its path") {
  TopologyOptions options = options_of(8);
  options.ecmp = true;
  const Fabric fabric = build("rail_optimized", options);
  std::set<std::vector<LinkId>> paths;
  for (std::uint32_t queue_pair = 0; queue_pair < 64; ++queue_pair) {
    std::vector<LinkId> path;
    fabric.route(Rank{0}, Rank{9}, queue_pair, path);
    paths.insert(path);
  }
  CHECK(paths.size() == 8);  // 64 hashes over 8 spines miss none, but for 8 (7/8)^64 = 0.2 %
}

}  // namespace
}  // namespace moesim
