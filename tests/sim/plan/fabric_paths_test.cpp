// Paths kept as halves lead where the fabric's routes lead, however many threads walked them.
#include "sim/plan/fabric_paths.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/cluster/fault.h"
#include "tests/topologies/every_topology.h"

using namespace moesim;

namespace {

bool same_halves(const FabricPaths::Halves& a, const FabricPaths::Halves& b) {
  return a.first == b.first &&
         std::equal(a.all.begin(), a.all.end(), b.all.begin(), b.all.end(),
                    [](const FabricPaths::Half& one, const FabricPaths::Half& other) {
                      return one.port == other.port && one.run == other.run &&
                             one.latency == other.latency;
                    });
}

bool same_paths(const FabricPaths& a, const FabricPaths& b) {
  for (std::size_t source = 0; source < a.ranks(); ++source)
    for (std::size_t destination = 0; destination < a.ranks(); ++destination) {
      const FabricPaths::Path one = a.paths_from(source)[destination];
      const FabricPaths::Path other = b.paths_from(source)[destination];
      if (one.leaving != other.leaving || one.entering != other.entering) return false;
    }
  return true;
}

bool same_runs(const FabricPaths& a, const FabricPaths& b) {
  if (a.runs() != b.runs()) return false;
  for (std::size_t run = 0; run < a.runs(); ++run)
    if (!std::equal(a.links_of(run).begin(), a.links_of(run).end(), b.links_of(run).begin(),
                    b.links_of(run).end()))
      return false;
  return true;
}

// Of every 37th pair of ranks, a number prime to the ranks of nodes and rails.
void check_routes(const Fabric& fabric, const FabricPaths& paths) {
  const auto ranks = static_cast<std::size_t>(fabric.ranks);
  bool same = true;
  for (std::size_t pair = 1; pair < ranks * ranks; pair += 37) {
    const std::size_t source = pair / ranks, destination = pair % ranks;
    if (source == destination) continue;
    std::vector<LinkId> route, followed;
    fabric.route(id_of<Rank>(source), id_of<Rank>(destination), 0, route);
    paths.follow(source, destination, [&](LinkId link) {
      followed.push_back(link);
      return true;
    });
    const FabricPaths::Path from = paths.paths_from(source)[destination],
                            into = paths.paths_into(destination)[source];
    same =
        same && route == followed && from.leaving == into.leaving && from.entering == into.entering;
  }
  CHECK(same);
}

double latency_of(const Fabric& fabric, const FabricPaths& paths, std::size_t a, std::size_t b) {
  double latency = 0;
  paths.follow(a, b, [&](LinkId link) {
    latency += fabric.links[index(link)].latency.count();
    return true;
  });
  return latency;
}

void check_threads(const Fabric& fabric) {
  const FabricPaths one(fabric, 1);
  check_routes(fabric, one);
  for (const int threads : {2, 3, 4}) {
    CAPTURE(threads);
    const FabricPaths many(fabric, threads);
    CHECK(same_paths(one, many));
    CHECK(same_halves(one.leaving(), many.leaving()));
    CHECK(same_halves(one.entering(), many.entering()));
    CHECK(same_runs(one, many));
    CHECK(std::equal(one.ports().begin(), one.ports().end(), many.ports().begin(),
                     many.ports().end()));
  }
}

}  // namespace

TEST_CASE("threads that share the walk find the paths that one finds") {
  for (const std::string& topology : Catalog<TopologyPart>::instance().names()) {
    CAPTURE(topology);
    const auto fabric = test::build_of_size(topology, 512);
    if (!fabric) continue;
    check_threads(*fabric);
  }
}

TEST_CASE("and so they do where a fault has taken links out") {
  const auto fabric = test::build_of_size("rail_optimized", 64);
  REQUIRE(fabric);
  Cluster cluster;
  cluster.fabric = *fabric;
  Fault fault;
  fault.kind = FaultKind::nic_lost;
  fault.rank = Rank{3};
  const Fabric after = with_fault(cluster, fault).fabric;
  const FabricPaths whole(*fabric, 1), broken(after, 1);
  CHECK(!(same_paths(whole, broken) && same_runs(whole, broken)));
  check_threads(after);
}

// Rank 0 has a cable of its own to the switch for each other rank: 299 halves of either kind, more
// than a byte numbers.
TEST_CASE("a rank with more than 256 halves keeps its paths, and the slowest into each is known") {
  Fabric fabric;
  fabric.topology = "hand made";
  fabric.ranks = fabric.ranks_per_node = 300;
  for (int rank = 0; rank < fabric.ranks; ++rank)
    fabric.add_device(DeviceKind::gpu, "gpu " + std::to_string(rank));
  const Vertex hub = fabric.add_device(DeviceKind::nvswitch, "switch");
  std::vector<Fabric::Cable> of_first, own;
  const auto cable = [&](Vertex gpu, std::size_t other) {
    return fabric.connect(gpu, hub, "cable", LinkTier::nvlink, BytesPerSecond(1e9),
                          Seconds(1e-6 * static_cast<double>(other)));
  };
  for (Vertex other = 0; other < 300; ++other) {
    of_first.push_back(cable(0, other));
    own.push_back(other == 0 ? of_first.back() : cable(other, 1));
  }
  fabric.route = [of_first, own](Rank source, Rank destination, std::uint32_t,
                                 std::vector<LinkId>& path) {
    if (source == destination) return;
    path.push_back(source == Rank{0} ? of_first[index(destination)].out : own[index(source)].out);
    path.push_back(destination == Rank{0} ? of_first[index(source)].in
                                          : own[index(destination)].in);
  };
  const FabricPaths paths(fabric);
  check_routes(fabric, paths);
  CHECK(paths.leaving().first[1] == 299);
  for (const std::size_t destination : {0, 1, 299}) {
    double slowest = 0;
    for (std::size_t source = 0; source < 300; ++source)
      if (source != destination)
        slowest = std::max(slowest, latency_of(fabric, paths, source, destination));
    CHECK(paths.slowest_into()[destination] == doctest::Approx(slowest));
  }
}
