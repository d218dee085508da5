// Paths kept as halves lead where the fabric's routes lead, however many threads walked them.
#include "sim/plan/fabric_paths.h"

#include <doctest/doctest.h>

#include <algorithm>

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
    same = same && route == followed;
  }
  CHECK(same);
}

}  // namespace

TEST_CASE("threads that share the walk find the paths that one finds") {
  for (const std::string& topology : Catalog<TopologyPart>::instance().names()) {
    CAPTURE(topology);
    const auto fabric = test::build_of_size(topology, 512);
    if (!fabric) continue;
    const FabricPaths one(*fabric, 1);
    check_routes(*fabric, one);
    for (const int threads : {2, 3, 4}) {
      CAPTURE(threads);
      const FabricPaths many(*fabric, threads);
      CHECK(same_paths(one, many));
      CHECK(same_halves(one.leaving(), many.leaving()));
      CHECK(same_halves(one.entering(), many.entering()));
      CHECK(same_runs(one, many));
      CHECK(std::equal(one.ports().begin(), one.ports().end(), many.ports().begin(),
                       many.ports().end()));
    }
  }
}
