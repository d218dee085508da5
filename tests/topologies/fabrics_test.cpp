// Facts of planes, racks, fat trees, dragonflies, tori, meshes and custom graphs, derived from
// their options.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "sim/cluster/fabric_file.h"
#include "sim/cluster/fabric_summary.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"
#include "tests/topologies/fabric_fixture.h"

namespace moesim {
namespace {

using namespace literals;
using test::build;
using test::path_between;

// 448 GB/s: a whole number for each of seven peers.
TopologyOptions options_of(int nodes, int gpus_per_node = 8) {
  TopologyOptions options = test::options_of(nodes, gpus_per_node);
  options.nvlink = 448_GBps;
  return options;
}

std::size_t count(const Fabric& fabric, DeviceKind kind) {
  std::size_t devices = 0;
  for (Vertex device = 0; device < boost::num_vertices(fabric.graph); ++device)
    devices += fabric.graph[device].kind == kind ? 1 : 0;
  return devices;
}

// Flows on each link of a tier when every rank sends to every other, by how many links carry so
// many.
std::map<int, int> loads_of_uniform_traffic(const Fabric& fabric, LinkTier tier) {
  std::vector<int> flows(fabric.links.size());
  std::vector<LinkId> path;
  for (int source = 0; source < fabric.ranks; ++source) {
    for (int destination = 0; destination < fabric.ranks; ++destination) {
      path.clear();
      if (source == destination) continue;
      fabric.route(static_cast<Rank>(source), static_cast<Rank>(destination), 0, path);
      for (const LinkId link : path) ++flows[index(link)];
    }
  }
  std::map<int, int> loads;
  for (std::size_t link = 0; link < flows.size(); ++link) {
    if (fabric.links[link].tier == tier) ++loads[flows[link]];
  }
  return loads;
}

std::string refusal(const char* topology, const TopologyOptions& options) {
  try {
    build(topology, options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "built";
}

TEST_CASE("planes split each NIC, have leaves and spines of their own, and add up to it") {
  TopologyOptions options = options_of(4);
  options.planes = 4;
  const Fabric fabric = build("rail_optimized", options);
  CHECK(count(fabric, DeviceKind::leaf) == 4 * 8);
  CHECK(count(fabric, DeviceKind::spine) == 4 * 4);
  CHECK(path_between(fabric, 1, 9).front().bandwidth == 50_GBps / 4);
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(16 * 50e9));
  CHECK(path_between(fabric, 1, 10).size() == 4);
}

TEST_CASE("planes are loaded alike by a uniform all-to-all, at both ends of every flow") {
  TopologyOptions options = options_of(8);
  options.planes = 2;
  // Each NIC sends to 56 ranks of other nodes over two planes.
  const auto loads = loads_of_uniform_traffic(build("rail_optimized", options), LinkTier::nic);
  CHECK(loads == std::map<int, int>{{28, 2 * 2 * 64}});
}

TEST_CASE("a mesh splits a GPU's NVLinks over its peers, in one node and in many") {
  const Fabric one = build("nvlink_mesh", options_of(1));
  CHECK(one.links.size() == 2 * 28);
  CHECK(path_between(one, 2, 5).size() == 1);
  CHECK(path_between(one, 5, 2).front().bandwidth == 64_GBps);
  CHECK(bisection_bandwidth(one).value == doctest::Approx(16 * 64e9));
  TopologyOptions options = options_of(2);
  options.scale_up = ScaleUp::mesh;
  const Fabric two = build("rail_optimized", options);
  CHECK(path_between(two, 9, 14).front().bandwidth == 64_GBps);
  CHECK(path_between(two, 9, 14).front().name == "nvlink 9-14 out");
  CHECK(path_between(two, 1, 9).size() == 2);
  CHECK(count(two, DeviceKind::nvswitch) == 0);
  CHECK(refusal("nvlink_mesh", options_of(2)).find("rail_optimized") != std::string::npos);
}

TEST_CASE("nvl72: a rack is one NVLink domain, the GPUs of a tray take the rails in turn") {
  TopologyOptions options = options_of(2, 72);
  options.nodes_per_leaf = 1;
  const Fabric fabric = build("nvl72", options);
  CHECK(fabric.ranks_per_node == 72);
  CHECK(path_between(fabric, 0, 71).size() == 2);
  CHECK(path_between(fabric, 0, 71).front().tier == LinkTier::nvlink);
  CHECK(count(fabric, DeviceKind::leaf) ==
        4 * 2);                                   // a rail for each GPU of a tray, one rack a leaf
  CHECK(count(fabric, DeviceKind::spine) == 18);  // a leaf joins 18 trays
  CHECK(path_between(fabric, 0, 72).size() == 4);
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(72 * 50e9));
  options.nodes_per_leaf = 2;
  const Fabric shared = build("nvl72", options);
  CHECK(path_between(shared, 0, 72 + 4).size() == 2);  // the same rail of another tray
  CHECK(path_between(shared, 0, 72 + 5).size() == 4);
  options.gpus_per_tray = 5;
  CHECK(refusal("nvl72", options).find("cluster.gpus_per_tray") != std::string::npos);
}

TEST_CASE("nvl72 loads the links down to a leaf alike under a uniform all-to-all") {
  TopologyOptions options = options_of(4, 36);
  options.nodes_per_leaf = 2;
  const auto loads = loads_of_uniform_traffic(build("nvl72", options), LinkTier::leaf_spine);
  CHECK(loads.rbegin()->first <= 1.35 * loads.begin()->first);
}

TEST_CASE("a fat tree of k ports joins k^3/4 GPUs with 5 k^2/4 switches at full bisection") {
  const Fabric fabric = build("fat_tree", options_of(16));  // 128 GPUs: k = 8
  CHECK(count(fabric, DeviceKind::leaf) == 32);
  CHECK(count(fabric, DeviceKind::spine) == 32);
  CHECK(count(fabric, DeviceKind::core) == 16);
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(64 * 50e9));
  // Leaves hold 4 GPUs, pods 16: node 1 begins with the third leaf, node 2 with the second pod.
  CHECK(path_between(fabric, 0, 8).size() == 4);
  CHECK(path_between(fabric, 0, 16).size() == 6);
  CHECK(path_between(fabric, 0, 16)[2].tier == LinkTier::spine_core);
  TopologyOptions options = options_of(16);
  options.oversubscription = 2;
  CHECK(bisection_bandwidth(build("fat_tree", options)).value == doctest::Approx(32 * 50e9));
}

TEST_CASE("D-mod-k gives every link down to a leaf the traffic of one GPU") {
  TopologyOptions options = options_of(16, 1);
  options.switch_ports = 4;
  const auto loads = loads_of_uniform_traffic(build("fat_tree", options), LinkTier::leaf_spine);
  // 16 GPUs, two a leaf: a link down to a leaf serves one of them, from 14 others.
  CHECK(loads == std::map<int, int>{{14, 2 * 16}});
}

TEST_CASE("a fat tree may be partial, and refuses more GPUs than its ports join") {
  TopologyOptions options = options_of(5);
  options.switch_ports = 8;
  const Fabric fabric = build("fat_tree", options);  // 40 of 128 GPUs
  CHECK(count(fabric, DeviceKind::leaf) == 10);
  CHECK(count(fabric, DeviceKind::spine) == 3 * 4);
  options.switch_ports = 4;
  CHECK(refusal("fat_tree", options).find("cluster.switch_ports") != std::string::npos);
  options.switch_ports = 7;
  CHECK(refusal("fat_tree", options).find("even") != std::string::npos);
}

TEST_CASE("a balanced dragonfly: a = 2p = 2h switches a group, one global cable a pair of groups") {
  TopologyOptions options = options_of(72, 1);
  options.gpus_per_switch = 2;  // p = h = 2, a = 4: 8 GPUs a group, 9 groups, 72 GPUs
  const Fabric fabric = build("dragonfly", options);
  CHECK(count(fabric, DeviceKind::fabric_switch) == 36);
  const FabricSummary summary = summary_of(fabric);
  CHECK(summary.diameter == 5);  // NIC, local, global, local, NIC
  for (const TierSummary& tier : summary.tiers) {
    if (tier.tier == LinkTier::dragonfly_local) CHECK(tier.cables == 9 * 6);
    if (tier.tier == LinkTier::dragonfly_global) CHECK(tier.cables == 36);
  }
  options.nodes = 73;
  CHECK(refusal("dragonfly", options).find("cluster.gpus_per_switch") != std::string::npos);
}

TEST_CASE("a dragonfly of few groups spreads all global ports over its pairs") {
  TopologyOptions options = options_of(16, 1);
  options.gpus_per_switch = 2;
  const Fabric fabric = build("dragonfly", options);  // two groups, 4 x 2 global ports each
  std::set<std::string> globals;
  for (const Link& link : fabric.links) {
    if (link.tier == LinkTier::dragonfly_global) globals.insert(link.name);
  }
  CHECK(globals.size() == 2 * 8);
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(8 * 50e9));
}

TEST_CASE("a torus is as near a cube as its nodes allow, and the short way round is taken") {
  const Fabric fabric = build("torus_3d", options_of(64, 1));
  CHECK(fabric.switch_grid == std::vector<int>{4, 4, 4});
  CHECK(path_between(fabric, 0, 3).size() == 3);   // one step back round the ring, two NICs
  CHECK(path_between(fabric, 0, 42).size() == 8);  // two steps along each axis
  // The cut between z = 1 and 2, and round the back: 2 x 16 cables.
  CHECK(bisection_bandwidth(fabric).value == doctest::Approx(32 * 50e9));
  CHECK(build("torus_3d", options_of(24, 1)).switch_grid == std::vector<int>{2, 3, 4});
  TopologyOptions options = options_of(24, 1);
  options.torus = {1, 4, 6};
  options.switch_link = 100_GBps;
  const Fabric flat = build("torus_3d", options);
  CHECK(path_between(flat, 0, 1)[1].bandwidth == 100_GBps);
  options.torus = {2, 4, 4};
  CHECK(refusal("torus_3d", options).find("cluster.torus") != std::string::npos);
}

TEST_CASE("rings of a torus are loaded alike under a uniform all-to-all") {
  const auto loads =
      loads_of_uniform_traffic(build("torus_3d", options_of(27, 1)), LinkTier::torus);
  // Along each axis a third of the pairs moves each way: 27 x 9 flows over 27 links.
  CHECK(loads == std::map<int, int>{{9, 27 * 3 * 2}});
}

TEST_CASE("a fabric written as a graph is read back as the same devices, links and lengths") {
  const test::TemporaryFolder folder;
  TopologyOptions options = options_of(4);
  const Fabric fabric = build("rail_optimized", options);
  write_file(folder / "graph.json", to_json(fabric_file_of(fabric)));
  options.graph = folder / "graph.json";
  const Fabric again = build("custom", options);
  REQUIRE(again.links.size() == fabric.links.size());
  for (std::size_t link = 0; link < fabric.links.size(); ++link) {
    CHECK(again.links[link].name == fabric.links[link].name);
    CHECK(again.links[link].bandwidth.value ==
          doctest::Approx(fabric.links[link].bandwidth.value).epsilon(1e-12));
    CHECK(again.links[link].latency.count() ==
          doctest::Approx(fabric.links[link].latency.count()).epsilon(1e-12));
  }
  for (const int destination : {1, 8, 9, 31})
    CHECK(path_between(again, 0, destination).size() ==
          path_between(fabric, 0, destination).size());
  CHECK(bisection_bandwidth(again).value == doctest::Approx(bisection_bandwidth(fabric).value));
}

TEST_CASE("a custom graph takes the widest way, and no way through a third GPU") {
  const test::TemporaryFolder folder;
  const auto graph = [&](const std::string& links) {
    write_file(folder / "g.json", R"({"source": "by hand", "devices": [
      {"name": "a", "kind": "gpu"}, {"name": "b", "kind": "gpu"}, {"name": "c", "kind": "gpu"},
      {"name": "slow", "kind": "cpu"}, {"name": "fast", "kind": "nvswitch"}], "links": [)" +
                                      links + "]}");
    TopologyOptions options = options_of(1, 3);
    options.graph = folder / "g.json";
    return options;
  };
  const std::string slow = R"(
      {"between": ["a", "slow"], "tier": "pcie", "bandwidth": "32 GB/s"},
      {"between": ["b", "slow"], "tier": "pcie", "bandwidth": "32 GB/s"},
      {"between": ["c", "slow"], "tier": "pcie", "bandwidth": "32 GB/s"})";
  const std::string fast = R"(,
      {"between": ["a", "fast"], "tier": "nvlink", "bandwidth": "100 GB/s", "latency": "1 us"},
      {"between": ["b", "fast"], "tier": "nvlink", "bandwidth": "100 GB/s"})";
  const Fabric fabric = build("custom", graph(slow + fast));
  CHECK(path_between(fabric, 0, 1).front().tier == LinkTier::nvlink);
  CHECK(path_between(fabric, 0, 2).front().tier == LinkTier::pcie);
  CHECK(path_between(fabric, 0, 1).front().name == "a - fast out");
  // a - b - c would be a way, but b is a GPU.
  CHECK(refusal("custom", graph(R"({"between": ["a", "b"], "tier": "nvlink", "bandwidth": "1 GB/s"},
      {"between": ["b", "c"], "tier": "nvlink", "bandwidth": "1 GB/s"})"))
            .find("no path joins") != std::string::npos);
  CHECK(refusal("custom",
                graph(R"({"between": ["a", "slwo"], "tier": "nic", "bandwidth": "1 GB/s"})"))
            .find("did you mean \"slow\"") != std::string::npos);
  CHECK(
      refusal("custom", graph(R"({"between": ["a", "b"], "tier": "nvlnk", "bandwidth": "1 GB/s"})"))
          .find("did you mean \"nvlink\"") != std::string::npos);
  TopologyOptions options = graph(slow);
  options.nodes = 3;
  CHECK(refusal("custom", options).find("cluster.nodes") != std::string::npos);
  CHECK(refusal("custom", options_of(1)).find("cluster.graph") != std::string::npos);
}

TEST_CASE("a summary counts links, ports and the longest path") {
  TopologyOptions options = options_of(4);
  options.nodes_per_leaf = 2;
  options.oversubscription = 2;
  const FabricSummary summary = summary_of(build("rail_optimized", options));
  CHECK(summary.port == 50_GBps);
  CHECK(summary.diameter == 4);
  CHECK(summary.farthest.count() == doctest::Approx(3e-6));
  // Two nodes a leaf: the halves meet over 8 rails' uplinks of 2 x 50 / 2 GB/s each.
  CHECK(summary.bisection.value == doctest::Approx(8 * 50e9));
  CHECK(summary.oversubscription == doctest::Approx(2));
}

}  // namespace
}  // namespace moesim
