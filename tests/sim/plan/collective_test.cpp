// Collectives: bytes and messages by the closed forms of nccl-tests (doc/PERFORMANCE.md), NCCL's
// choice of an allreduce.
#include "sim/plan/collective.h"

#include <doctest/doctest.h>

#include <numeric>
#include <set>

#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using namespace moesim::test;

namespace {

constexpr double kBuffer = 1 << 20;  // S, bytes

struct Made {
  Cluster cluster;
  FabricPaths paths;
  Exchange exchange;
};

Made make(const std::string& name, int nodes, int group) {
  const Cluster cluster = make_cluster(nodes);
  const FabricPaths paths(cluster.fabric);
  const CollectiveShape shape = even_shares(cluster.ranks(), group, 8, Bytes(kBuffer));
  return {cluster, paths, make_collective(cluster, paths, name, shape)};
}

double sum(const std::vector<Bytes>& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), 0.0,
                         [](double total, Bytes one) { return total + one.value; });
}

Cluster cluster_of(const std::string& preset, int nodes) {
  ClusterSpec spec = load_cluster_preset(preset);
  spec.options.nodes = nodes;
  return build_cluster(spec);
}

std::string chosen(const Cluster& cluster, int group, double bytes) {
  const FabricPaths paths(cluster.fabric);
  return nccl_allreduce(
      cluster, paths,
      even_shares(cluster.ranks(), group, cluster.fabric.ranks_per_node, Bytes(bytes)));
}

}  // namespace

TEST_CASE("every rank sends and receives what nccl-tests counts for each collective") {
  const std::vector<std::pair<std::string, double (*)(double)>> share{
      {"all_gather", [](double n) { return (n - 1) / n; }},
      {"reduce_scatter", [](double n) { return (n - 1) / n; }},
      {"all_to_all", [](double n) { return (n - 1) / n; }},
      {"allreduce_ring", [](double n) { return 2 * (n - 1) / n; }},
      {"allreduce_in_network", [](double n) { return n > 1 ? 1 + 1 / n : 0; }},
      {"point_to_point", [](double n) { return n > 1 ? 1 / n : 0; }}};
  for (const auto& [name, of_buffer] : share)
    for (const int group : {1, 2, 4, 8, 16, 32}) {
      if (name == "allreduce_in_network" && group > 8) continue;
      const auto& shown = name;  // no lambda may capture a structured binding
      CAPTURE(shown);
      CAPTURE(group);
      const Exchange exchange = make(name, 4, group).exchange;
      for (std::size_t rank = 0; rank < 32; ++rank) {
        CHECK(exchange.sent[rank].value == doctest::Approx(of_buffer(group) * kBuffer));
        CHECK(exchange.received[rank].value == doctest::Approx(of_buffer(group) * kBuffer));
      }
    }
}

TEST_CASE("a tree moves 2 (n - 1) S in all, at most 2 S over any rank's ports") {
  for (const int nodes : {1, 2, 3, 4, 5, 6, 7, 8}) {
    const Exchange exchange = make("allreduce_tree", nodes, 8 * nodes).exchange;
    CAPTURE(nodes);
    CHECK(sum(exchange.sent) == doctest::Approx(2 * (8.0 * nodes - 1) * kBuffer));
    CHECK(sum(exchange.received) == doctest::Approx(sum(exchange.sent)));
    for (std::size_t rank = 0; rank < exchange.sent.size(); ++rank) {
      CHECK(exchange.sent[rank].value <= 2 * kBuffer * (1 + 1e-9));
      CHECK(exchange.sent[rank].value == doctest::Approx(exchange.received[rank].value));
    }
  }
  CHECK(sum(make("allreduce_tree", 2, 4).exchange.sent) ==
        doctest::Approx(4 * 2 * 3 * kBuffer));  // 4 groups of 4
}

TEST_CASE("both trees reach every node, and no node has children in both where nodes are even") {
  for (const std::size_t nodes : {2U, 4U, 6U, 8U}) {
    const CollectiveShape shape =
        even_shares(static_cast<int>(8 * nodes), static_cast<int>(8 * nodes), 8, Bytes(kBuffer));
    const Leg rails = Catalog<CollectivePart>::instance()
                          .at("allreduce_tree", "collective")
                          .traffic(shape)
                          .legs.at(1);
    std::set<std::size_t> reached{0};
    for (std::size_t round = 0; round < nodes; ++round)
      for (const std::size_t node : std::set<std::size_t>(reached))
        for (const auto [rank, rows] : rails.rows->of(8 * node)) reached.insert(rank / 8);
    CHECK(reached.size() == nodes);
    for (std::size_t node = 0; node < nodes; ++node) {
      std::uint32_t edges = 0;  // over both trees: a leaf's one and an inner node's three at most
      for (const auto [rank, rows] : rails.rows->of(8 * node)) edges += rows;
      CHECK(edges <= 4 * 8 * nodes);  // each edge stands for the buffer's rows, one a rank
    }
  }
}

TEST_CASE("a ring loads every NIC alike") {
  const Made made = make("allreduce_ring", 4, 32);
  for (std::size_t link = 0; link < made.exchange.link_bytes.size(); ++link)
    if (made.cluster.fabric.links[link].tier == LinkTier::nic)
      CHECK(made.exchange.link_bytes[link].value == doctest::Approx(2 * 31.0 / 32 * kBuffer / 8));
}

TEST_CASE("an all-gather crosses to another node once for each row") {
  const Made made = make("all_gather", 4, 32);
  for (std::size_t link = 0; link < made.exchange.link_bytes.size(); ++link)
    if (made.cluster.fabric.links[link].tier == LinkTier::nic)
      CHECK(made.exchange.link_bytes[link].value == doctest::Approx(3 * kBuffer / 32));
}

TEST_CASE("groups that straddle nodes exchange from rank to rank") {
  for (const std::string name : {"all_gather", "reduce_scatter"}) {
    const Exchange exchange = make(name, 3, 12).exchange;
    for (std::size_t rank = 0; rank < 24; ++rank)
      CHECK(exchange.sent[rank].value == doctest::Approx(11.0 / 12 * kBuffer));
  }
  const Exchange ring = make("allreduce_ring", 3, 12).exchange;
  for (std::size_t rank = 0; rank < 24; ++rank)
    CHECK(ring.sent[rank].value == doctest::Approx(2 * 11.0 / 12 * kBuffer));
}

TEST_CASE("a rank issues the messages of its ring, tree or exchange") {
  const auto messages = [](const std::string& name, int group) {
    const CollectiveShape shape = even_shares(64, group, 8, Bytes(kBuffer));
    return Catalog<CollectivePart>::instance()
               .at(name, "collective")
               .traffic(shape)
               .messages_per_peer *
           (group - 1);
  };
  for (const int group : {2, 8, 32}) {
    CHECK(messages("all_gather", group) == doctest::Approx(group - 1));
    CHECK(messages("reduce_scatter", group) == doctest::Approx(group - 1));
    CHECK(messages("all_to_all", group) == doctest::Approx(group - 1));
    CHECK(messages("allreduce_ring", group) == doctest::Approx(2 * (group - 1)));
    CHECK(messages("point_to_point", group) == doctest::Approx(1));
  }
  CHECK(messages("allreduce_tree", 8) == doctest::Approx(2 * 7));         // a chain up and down
  CHECK(messages("allreduce_tree", 32) == doctest::Approx(2 * (7 + 2)));  // and 2 levels of 4 nodes
  CHECK(messages("allreduce_tree", 64) == doctest::Approx(2 * (7 + 3)));
}

TEST_CASE("unequal shares: a gather sends each rank's own, a reduction all others'") {
  const Cluster cluster = make_cluster(1);
  const FabricPaths paths(cluster.fabric);
  CollectiveShape shape = even_shares(8, 4, 8, Bytes(400));
  shape.rows = {1, 2, 3, 4, 5, 6, 7, 8};
  const Exchange gather = make_collective(cluster, paths, "all_gather", shape);
  const Exchange reduce = make_collective(cluster, paths, "reduce_scatter", shape);
  const Exchange ring = make_collective(cluster, paths, "allreduce_ring", shape);
  for (std::size_t rank = 0; rank < 8; ++rank) {
    const double own = shape.rows[rank] * 100.0, all = rank < 4 ? 1000 : 2600;
    CHECK(gather.sent[rank].value == 3 * own);
    CHECK(gather.received[rank].value == all - own);
    CHECK(reduce.sent[rank].value == all - own);
    CHECK(reduce.received[rank].value == 3 * own);
    CHECK(ring.sent[rank].value == doctest::Approx(2 * 3 / 4.0 * all));
  }
}

TEST_CASE("an allreduce is summed in switches that can, within a node of more than two ranks") {
  const Cluster h100 = cluster_of("h100-ib", 2);
  CHECK(chosen(h100, 8, 1e8) == "allreduce_in_network");
  CHECK(chosen(h100, 4, 1e3) == "allreduce_in_network");
  CHECK(chosen(h100, 2, 1e8) == "allreduce_ring");
  CHECK(chosen(h100, 16, 1e9) != "allreduce_in_network");
  CHECK(chosen(cluster_of("a100-hdr", 2), 8, 1e8) == "allreduce_ring");
}

TEST_CASE("small allreduces across nodes go up and down trees, large ones round rings") {
  const Cluster cluster = cluster_of("h100-ib", 4);
  CHECK(chosen(cluster, 32, 1e4) == "allreduce_tree");
  CHECK(chosen(cluster, 32, 1e9) == "allreduce_ring");
}

TEST_CASE("a plan sums attention's rows on all ranks of a group if it says so") {
  StepWorld world(StepCase{.nodes = 2, .tensor = 4});
  const auto reductions = [&] {
    const StepGraph graph = world.build();
    std::vector<Exchange> exchanges;
    for (const Task& task : graph.tasks)
      if (task.kind == TaskKind::tensor_reduce)
        exchanges.push_back(graph.exchanges[static_cast<std::size_t>(task.exchange)]);
    return exchanges;
  };
  const auto scattered = reductions();
  world.plan.tensor_reduction = TensorReduction::allreduce;
  const auto summed = reductions();
  REQUIRE(scattered.size() == summed.size());
  REQUIRE_FALSE(summed.empty());
  CHECK(scattered[0].algorithm == "nccl_reduce_scatter");
  CHECK(summed[0].algorithm == "nccl_allreduce_in_network");
  for (std::size_t rank = 0; rank < 16; ++rank) {
    double rows = 0;  // of the group, each 2 h
    for (std::size_t peer = rank / 4 * 4; peer < rank / 4 * 4 + 4; ++peer)
      rows += scattered[0].kept[peer].value;
    CHECK(summed[0].sent[rank].value == doctest::Approx(1.25 * rows));
  }
}
