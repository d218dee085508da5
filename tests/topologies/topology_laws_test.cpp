// Laws that every topology of the catalog keeps, at 1 to 1024 ranks.
#include <doctest/doctest.h>

#include <boost/range/iterator_range.hpp>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "sim/cluster/fabric_file.h"
#include "sim/cluster/link_health.h"
#include "sim/core/random.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"
#include "tests/topologies/every_topology.h"

namespace moesim {
namespace {

using namespace literals;
using test::build_of_size;
using test::hops_from;
using test::options_of;

const std::optional<Fabric>& built_once(const std::string& topology, int ranks) {
  static std::map<std::pair<std::string, int>, std::optional<Fabric>> built;
  const auto key = std::make_pair(topology, ranks);
  if (built.count(key) == 0) built[key] = build_of_size(topology, ranks);
  return built[key];
}

template <class Visit>
void for_every_fabric(const Visit& visit) {
  for (const std::string& topology : Catalog<TopologyPart>::instance().names()) {
    for (const int ranks : {1, 8, 64, 1024}) {
      CAPTURE(topology);
      CAPTURE(ranks);
      if (const std::optional<Fabric>& fabric = built_once(topology, ranks)) visit(*fabric, ranks);
    }
  }
}

TEST_CASE("the catalog holds the topologies") {
  const auto names = Catalog<TopologyPart>::instance().names();
  CHECK(names == std::vector<std::string>{"custom", "dragonfly", "fat_tree", "nvl72", "nvlink_mesh",
                                          "rail_optimized", "single_node", "torus_3d"});
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
    const std::vector<LinkEnds> ends = link_ends(fabric);
    CHECK(boost::num_edges(fabric.graph) == fabric.links.size());
    std::map<std::pair<Vertex, Vertex>, double> bandwidth;
    for (std::size_t link = 0; link < ends.size(); ++link)
      bandwidth[{ends[link].from, ends[link].to}] += fabric.links[link].bandwidth.value;
    for (const auto& pair : bandwidth)
      CHECK(bandwidth.at({pair.first.second, pair.first.first}) == pair.second);
    for (const int hops : hops_from(fabric, 0, true)) CHECK(hops >= 0);
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

// A dragonfly takes the global cable that its choice names, and up to two local ones to reach it,
// where another global cable may begin and end at the right switches.
TEST_CASE("every route is a contiguous, loop-free path and no detour") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    const std::vector<LinkEnds> ends = link_ends(fabric);
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
        REQUIRE(ends[index(link)].from == at);
        at = ends[index(link)].to;
        CHECK(seen.insert(at).second);
      }
      CHECK(at == destination);
      if (trial % 40 == 0) {
        const int shortest = hops_from(fabric, source)[destination];
        CHECK(static_cast<int>(path.size()) >= shortest);
        CHECK(static_cast<int>(path.size()) <= shortest + (fabric.topology == "dragonfly" ? 2 : 0));
      }
    }
  });
}

TEST_CASE("no topology routes from a rank to itself") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    std::vector<LinkId> path;
    fabric.route(Rank{0}, Rank{0}, 0, path);
    fabric.route(static_cast<Rank>(ranks - 1), static_cast<Rank>(ranks - 1), 5, path);
    CHECK(path.empty());
  });
}

TEST_CASE("every topology of nodes spreads queue pairs under ECMP, over paths of one length") {
  for (const std::string topology :
       {"custom", "dragonfly", "fat_tree", "nvl72", "rail_optimized", "torus_3d"}) {
    // Where every way is taken: two groups of a dragonfly, even rings of a torus.
    const int nodes = topology == "dragonfly" ? 2 : 64;
    CAPTURE(topology);
    TopologyOptions options = options_of(nodes, 8);
    options.ecmp = true;
    if (topology == "custom") options.graph = test::graph_file(nodes * 8);
    const Fabric fabric = Catalog<TopologyPart>::instance().at(topology, "topology")(options);
    std::set<std::vector<LinkId>> paths;
    std::set<std::size_t> lengths;
    const int farthest = topology == "torus_3d" ? (2 + 2 * 4 + 2 * 16) * 8 : nodes * 8 - 1;
    for (std::uint32_t queue_pair = 0; queue_pair < 64; ++queue_pair) {
      std::vector<LinkId> path, again;
      fabric.route(Rank{0}, static_cast<Rank>(farthest), queue_pair, path);
      fabric.route(Rank{0}, static_cast<Rank>(farthest), queue_pair, again);
      CHECK(path == again);
      paths.insert(path);
      lengths.insert(path.size());
    }
    CHECK(paths.size() >= 2);
    if (topology != "dragonfly") CHECK(lengths.size() == 1);
  }
}

TEST_CASE("every bisection is above 0 and at most the ports of half the ranks") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    if (ranks < 2) return;
    double ports = 0;
    const std::vector<LinkEnds> ends = link_ends(fabric);
    for (std::size_t link = 0; link < ends.size(); ++link) {
      if (ends[link].from < static_cast<Vertex>(ranks / 2))
        ports += fabric.links[link].bandwidth.value;
    }
    const double bisection = bisection_bandwidth(fabric).value;
    CHECK(bisection > 0);
    CHECK(bisection <= ports * (1 + 1e-9));
  });
}

TEST_CASE("the health of a tier lowers all its links, that of a cable its two") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    if (ranks != 64) return;
    Fabric sick = fabric;
    const LinkTier tier = fabric.links.back().tier;
    const std::string first = fabric.links.front().name;
    const std::string cable = first.substr(0, first.size() - 4);
    apply_link_health(sick, {{tier_name(tier), 0.5, {}}, {cable, 0.25, {}}});
    for (std::size_t link = 0; link < sick.links.size(); ++link) {
      const double left = (fabric.links[link].tier == tier ? 0.5 : 1) * (link < 2 ? 0.25 : 1);
      CHECK(sick.links[link].bandwidth.value ==
            doctest::Approx(left * fabric.links[link].bandwidth.value));
    }
    CHECK_THROWS_WITH_AS(apply_link_health(sick, {{"nvlnik", 0.5, {}}}),
                         doctest::Contains("did you mean \"nvlink\""), InputError);
  });
}

TEST_CASE("no topology sends through a third GPU") {
  for_every_fabric([](const Fabric& fabric, int ranks) {
    const std::vector<LinkEnds> ends = link_ends(fabric);
    std::vector<LinkId> path;
    for (int destination = 1; destination < ranks; destination += 1 + ranks / 50) {
      path.clear();
      fabric.route(Rank{0}, static_cast<Rank>(destination), 0, path);
      for (std::size_t hop = 0; hop + 1 < path.size(); ++hop)
        CHECK(ends[index(path[hop])].to >= static_cast<Vertex>(ranks));
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
    options = options_of(1, 8);
    options.planes = 0;
    CHECK(refused(part, options).find("cluster.planes") != std::string::npos);
    // No topology gives all of these a meaning.
    options = options_of(1, 8);
    options.switch_ports = 4;
    options.gpus_per_switch = 2;
    CHECK(refused(part, options).find("means nothing") != std::string::npos);
  }
}

TEST_CASE("a topology takes the options that it lists, and refuses all others as meaningless") {
  const std::vector<std::pair<std::string, std::function<void(TopologyOptions&)>>> given{
      {"oversubscription", [](auto& options) { options.oversubscription = 2; }},
      {"scale_up", [](auto& options) { options.scale_up = ScaleUp::mesh; }},
      {"planes", [](auto& options) { options.planes = 2; }},
      {"gpus_per_tray", [](auto& options) { options.gpus_per_tray = 2; }},
      {"switch_ports", [](auto& options) { options.switch_ports = 16; }},
      {"gpus_per_switch", [](auto& options) { options.gpus_per_switch = 2; }},
      {"switches_per_group", [](auto& options) { options.switches_per_group = 2; }},
      {"torus",
       [](auto& options) {
         options.torus = {2, 1, 1};
       }},
      {"switch_link", [](auto& options) { options.switch_link = BytesPerSecond(1e9); }},
      {"graph", [](auto& options) { options.graph = "graph.json"; }}};
  for (const auto& entry : Catalog<TopologyPart>::instance().entries()) {
    CAPTURE(entry.first);
    const TopologyPart& part = entry.second.part;
    const std::vector<std::string>& listed = part.options;
    for (const auto& one : given) {
      const std::string& option = one.first;
      CAPTURE(option);
      TopologyOptions options = options_of(2, 8);
      one.second(options);
      std::string refusal;
      try {
        part(options);
      } catch (const InputError& error) {
        refusal = error.what();
      }
      const bool meaningless =
          refusal.find("cluster." + option + ": means nothing") != std::string::npos;
      CHECK(meaningless == (std::find(listed.begin(), listed.end(), option) == listed.end()));
    }
  }
}

}  // namespace
}  // namespace moesim
