// The fidelities against each other and against times worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/random.h"
#include "sim/replay/replay.h"
#include "tests/sim/plan/step_fixture.h"
#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;
using doctest::Approx;

Approx exactly(double value) { return Approx(value).epsilon(1e-9); }

std::vector<Flow> skewed_flows(int ranks, std::uint64_t seed, double filled = 1) {
  Random random(seed);
  std::vector<double> popularity;
  for (int rank = 0; rank < ranks; ++rank) popularity.push_back(std::exp(0.6 * random.normal()));
  std::vector<Flow> flows;
  for (int source = 0; source < ranks; ++source) {
    for (int destination = 0; destination < ranks; ++destination) {
      const double rows =
          std::floor(20 * popularity[static_cast<std::size_t>(destination)] * random.uniform());
      if (source != destination && rows > 0 && random.uniform() < filled)
        flows.push_back(flow_of(source, destination, 7168 * rows));
    }
  }
  return flows;
}

TopologyOptions options_of(int nodes, int gpus) {
  TopologyOptions options;
  options.nodes = nodes;
  options.gpus_per_node = gpus;
  options.nvlink = BytesPerSecond(400e9);
  options.nic = BytesPerSecond(50e9);
  return options;
}

struct NamedCluster {
  std::string name;
  Cluster cluster;
};

// Every topology that needs no file, four nodes of four ranks where it has nodes.
std::vector<NamedCluster> every_fabric() {
  std::vector<NamedCluster> all;
  for (const auto& name : Catalog<TopologyPart>::instance().names()) {
    for (const int nodes : {4, 1}) {
      try {
        all.push_back({name, cluster_of(name.c_str(), options_of(nodes, 4))});
        break;
      } catch (const InputError&) {  // needs a file, or one node only
      }
    }
  }
  return all;
}

TEST_CASE("links ends every rank when bound does, for one group on every fabric") {
  std::size_t tried = 0;
  for (const auto& [name, cluster] : every_fabric()) {
    const auto& shown = name;  // no lambda may capture a structured binding
    CAPTURE(shown);
    for (const double filled : {1.0, 0.3}) {
      const int ranks = cluster.ranks();
      const StepGraph graph = step_of(
          ranks, with_shares(exchange_of(skewed_flows(ranks, 7, filled), cluster), cluster.fabric));
      const Timeline bound = replay(graph, cluster, Fidelity::bound);
      ReplayOptions every(Fidelity::links);
      every.every_link = true;
      for (const ReplayOptions& options : {ReplayOptions(Fidelity::links), every}) {
        const Timeline links = replay(graph, cluster, options);
        for (int rank = 0; rank < ranks; ++rank)
          CHECK(links.at(0, rank).end.count() == exactly(bound.at(0, rank).end.count()));
        for (std::size_t link = 0; link < cluster.fabric.links.size(); ++link) {
          const LinkId id = id_of<LinkId>(link);
          const Seconds busy = busy_time(graph.exchanges[0], cluster.fabric, id);
          if (busy.count() > 0)
            CHECK(links.drained_at(0, id, busy).count() ==
                  exactly(bound.drained_at(0, id, busy).count()));
        }
      }
      ++tried;
    }
  }
  CHECK(tried >= 12);
}

// Four nodes of two GPUs, leaves oversubscribed 4:1, in groups of ranks 0..3 and 4..7. Each sends
// from its first rank to its last, from rail 0 to rail 1, over the same leaf and spine.
struct TwoGroups {
  Cluster cluster;
  LinkId shared{-1};
  StepGraph graph;

  TwoGroups(double late, double bytes_a, double bytes_b) {
    cluster = rails_of(4, 2, 4);
    const std::vector<Flow> flows{flow_of(0, 3, bytes_a), flow_of(4, 7, bytes_b)};
    Exchange exchange = exchange_of(flows, cluster);
    exchange.group_ranks = 4;
    exchange = with_shares(exchange, cluster.fabric);
    graph.ranks = 8;
    add_compute(graph, TaskKind::attention, {0, 0, 0, 0, late, late, late, late});
    add_exchange(graph, TaskKind::dispatch, exchange);
    for (std::size_t link = 0; link < cluster.fabric.links.size(); ++link) {
      if (cluster.fabric.links[link].tier == LinkTier::leaf_spine &&
          exchange.link_bytes[link].value == bytes_a + bytes_b)
        shared = id_of<LinkId>(link);
    }
  }
};

// Alone from 0 to `late` group A moves bandwidth x late; then both have half of it until one is
// through, then the other has all.
TEST_CASE("two groups out of phase share a link while both load it") {
  const TwoGroups step(1e-3, 100e6, 100e6);
  REQUIRE(step.shared != LinkId{-1});
  const double bandwidth = step.cluster.fabric.links[index(step.shared)].bandwidth.value;
  const double alone = 100e6 / bandwidth;
  REQUIRE(alone > 1e-3);  // they meet
  const Timeline links = replay(step.graph, step.cluster, Fidelity::links);
  const double left = 100e6 - 1e-3 * bandwidth;      // of A, when B starts
  const double end_a = 1e-3 + 2 * left / bandwidth;  // at half the bandwidth
  const double end_b = end_a + (100e6 - left) / bandwidth;
  CHECK(links.at(1, 3).end.count() == exactly(end_a));
  CHECK(links.at(1, 7).end.count() == exactly(end_b));
  CHECK(links.drained_at(0, step.shared, Seconds(alone)).count() == exactly(end_b));
  // bound loads the link with both groups' bytes at once, for each of them.
  const Timeline bound = replay(step.graph, step.cluster, Fidelity::bound);
  CHECK(bound.at(1, 3).end.count() == exactly(2 * alone));
  CHECK(bound.at(1, 7).end.count() == exactly(1e-3 + 2 * alone));
  CHECK_NOTHROW(check_step(step.graph, links, step.cluster));
}

TEST_CASE("groups that do not meet on a link have it for themselves with links") {
  const TwoGroups step(50e-3, 100e6, 100e6);
  const double bandwidth = step.cluster.fabric.links[index(step.shared)].bandwidth.value;
  const Timeline links = replay(step.graph, step.cluster, Fidelity::links);
  CHECK(links.at(1, 3).end.count() == exactly(100e6 / bandwidth));
  CHECK(links.at(1, 7).end.count() == exactly(50e-3 + 100e6 / bandwidth));
}

TEST_CASE("paths takes as long as every flow, on oversubscribed and hashed fabrics") {
  TopologyOptions hashed = options_of(8, 4);
  hashed.ecmp = true;
  TopologyOptions tree = options_of(8, 4);
  tree.oversubscription = 2;
  const std::vector<Cluster> clusters{rails_of(8, 4), rails_of(8, 4, 2), rails_of(8, 4, 4),
                                      cluster_of("fat_tree", hashed), cluster_of("fat_tree", tree)};
  for (const Cluster& cluster : clusters) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      const StepGraph graph =
          step_of(cluster.ranks(), exchange_of(skewed_flows(cluster.ranks(), seed), cluster));
      const Timeline paths = replay(graph, cluster, Fidelity::paths);
      const Timeline flows = replay(graph, cluster, Fidelity::flows);
      CHECK(paths.makespan.count() == Approx(flows.makespan.count()).epsilon(1e-6));
      for (int rank = 0; rank < cluster.ranks(); ++rank)
        CHECK(paths.at(0, rank).end.count() == Approx(flows.at(0, rank).end.count()).epsilon(1e-6));
      CHECK_NOTHROW(check_step(graph, paths, cluster));
    }
  }
}

// Each leaf has two nodes of one GPU and one uplink of a NIC's bandwidth. Ranks 0 to 2 and 3 to 5
// exchange apart, and neither exchange could fill the uplink of ranks 2 and 3 alone.
TEST_CASE("exchanges that overlap share links that each alone could not fill") {
  TopologyOptions options = options_of(6, 1);
  options.nodes_per_leaf = 2;
  options.oversubscription = 2;
  const Cluster cluster = cluster_of("rail_optimized", options);
  StepGraph graph;
  graph.ranks = 6;
  for (const auto& [from, to, first] : {std::tuple{2, 0, 0}, std::tuple{3, 4, 3}}) {
    const std::vector<Flow> flows{flow_of(from, to, 100e6)};
    Exchange exchange = exchange_of(flows, cluster);
    exchange.group_ranks = 3;
    exchange.among = {first, first + 3};
    add_exchange(graph, TaskKind::dispatch, with_shares(exchange, cluster.fabric));
  }
  for (const Fidelity fidelity : {Fidelity::links, Fidelity::paths, Fidelity::flows}) {
    CAPTURE(to_text(fidelity));
    CHECK(replay(graph, cluster, fidelity).makespan.count() == exactly(4e-3));
  }
}

TEST_CASE("steps of several EP and tensor-parallel groups keep every law with links and paths") {
  for (const auto& sizes : {std::pair{8, 2}, std::pair{2, 4}, std::pair{16, 8}}) {
    CAPTURE(sizes.first);
    const test::StepWorld world(
        test::StepCase{.expert_parallel = sizes.first, .tensor = sizes.second});
    const StepGraph graph = world.build(1, true, true);
    ReplayOptions every(Fidelity::links);
    every.every_link = true;
    const Timeline links = replay(graph, world.cluster, Fidelity::links);
    const Timeline all = replay(graph, world.cluster, every);
    CHECK_NOTHROW(check_step(graph, links, world.cluster));
    CHECK_NOTHROW(check_step(graph, replay(graph, world.cluster, Fidelity::paths), world.cluster));
    // What links leaves out of the engine is exact.
    for (std::size_t i = 0; i < links.intervals.size(); ++i)
      CHECK(links.intervals[i].end.count() == exactly(all.intervals[i].end.count()));
  }
}

TEST_CASE("replays of one step are the same to the last bit in a fresh engine clock's range") {
  const TwoGroups step(1e-3, 100e6, 100e6);
  const Timeline first = replay(step.graph, step.cluster, Fidelity::links);
  const Timeline again = replay(step.graph, step.cluster, Fidelity::links);
  for (std::size_t i = 0; i < first.intervals.size(); ++i)
    CHECK(again.intervals[i].end.count() == exactly(first.intervals[i].end.count()));
}

TEST_CASE("shares that were not kept are missed before the engine starts") {
  const Cluster cluster = rails_of(2, 1);
  const StepGraph graph = step_of(2, exchange_of({flow_of(0, 1, 50e6)}, cluster));
  CHECK_THROWS_WITH_AS(replay(graph, cluster, Fidelity::links), doctest::Contains("keep_shares"),
                       CheckError);
}

TEST_CASE("an unknown fidelity is refused with the valid ones") {
  for (const Fidelity fidelity :
       {Fidelity::bound, Fidelity::links, Fidelity::paths, Fidelity::flows})
    CHECK(parse_fidelity(to_text(fidelity)) == fidelity);
  for (const char* name : {"bound", "links", "paths", "flows", "auto"})
    CHECK_THROWS_WITH_AS(parse_fidelity("everything"), doctest::Contains(name), InputError);
}

}  // namespace
}  // namespace moesim
