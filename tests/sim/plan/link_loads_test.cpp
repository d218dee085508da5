// Copies and link loads against a plain recount, and against closed forms for uniform routing.
#include "sim/plan/link_loads.h"

#include <doctest/doctest.h>

#include <memory>
#include <numeric>

#include "tests/sim/plan/recount.h"

using namespace moesim;
using namespace moesim::test;

namespace {

ExchangeInputs row_of(const RowCounts& rows, double bytes, bool transposed) {
  ExchangeInputs inputs;
  inputs.algorithm = "test";
  inputs.traffic.legs = {{std::make_shared<RowCounts>(rows), bytes, transposed}};
  inputs.traffic.messages_per_row = 1;
  inputs.traffic.messages_per_peer = 2;
  inputs.timing.per_message = Seconds(1e-6);
  inputs.peers = 15;
  inputs.keep_flows = true;
  return inputs;
}

RowCounts uniform(int ranks, std::uint32_t each) {
  const auto n = static_cast<std::size_t>(ranks);
  return RowCounts::of_matrix(std::vector<std::uint32_t>(n * n, each), n);
}

}  // namespace

TEST_CASE("copies of random routing equal a copy-by-copy recount") {
  for (const StepCase& c :
       {StepCase{}, StepCase{.choice = ReplicaChoice::nearest, .seed = 2},
        StepCase{.nodes = 4, .expert_parallel = 16, .tensor = 4, .seed = 3},
        StepCase{.nodes = 4, .redundant = 0, .expert_parallel = 8, .tensor = 2, .seed = 4},
        // 68,000 choices: more than 16 bits count
        StepCase{.nodes = 1, .layers = 1, .expert_parallel = 8, .tensor = 8, .tokens = 17000}}) {
    const StepWorld world(c);
    const auto copies = count_all(world);
    const ExpertChoices choices(world.routing(), 0, copies.size(), 2);
    for (std::size_t layer = 0; layer < copies.size(); ++layer) {
      const Matrix expected = recount(world, layer);
      const auto ranks = static_cast<std::size_t>(copies[layer]->ranks);
      bool equal = true;
      for (std::size_t i = 0; i < ranks * ranks; ++i)
        equal = equal &&
                copies[layer]->copies.at(i / ranks, i % ranks) == expected[i / ranks][i % ranks];
      CHECK(equal);
      const auto& slots = copies[layer]->per_physical_expert;
      CHECK(std::accumulate(slots.begin(), slots.end(), std::int64_t{0}) ==
            choices.routed()[layer]);
    }
  }
}

TEST_CASE("an expert id out of range is refused with its row and layer") {
  StepWorld world(StepCase{});
  std::vector<std::uint16_t> experts(world.trace.experts.begin(), world.trace.experts.end());
  experts[static_cast<std::size_t>((7 * 5 + 3) * 4)] = 32;  // row 7, layer 3
  world.trace.experts = experts;
  CHECK_THROWS_WITH_AS(count_all(world), doctest::Contains("row 7, layer 3 holds expert 32"),
                       InputError);
}

TEST_CASE("link bytes, rank bytes and transfer equal a recount along each route") {
  const StepWorld world(StepCase{.nodes = 3, .expert_parallel = 24, .seed = 5});
  const Fabric& fabric = world.cluster.fabric;
  const FabricPaths paths(fabric);
  const Matrix matrix = recount(world, 2);
  const RowCounts copies = count_all(world)[2]->copies;
  for (const bool transposed : {false, true}) {
    const Exchange exchange = make_exchange(paths, 24, row_of(copies, 100, transposed));
    const std::size_t ranks = matrix.size();
    std::vector<double> link(fabric.links.size()), sent(ranks), received(ranks);
    std::vector<LinkId> path;
    const auto each_flow = [&](auto visit) {
      for (std::size_t i = 0; i < ranks; ++i)
        for (std::size_t j = 0; j < ranks; ++j) {
          if (i == j || matrix[i][j] == 0) continue;
          const std::size_t from = transposed ? j : i, to = transposed ? i : j;
          path.clear();
          fabric.route(id_of<Rank>(from), id_of<Rank>(to), 0, path);
          visit(from, to, 100 * matrix[i][j]);
        }
    };
    each_flow([&](std::size_t from, std::size_t to, double bytes) {
      sent[from] += bytes;
      received[to] += bytes;
      for (const LinkId id : path) link[index(id)] += bytes;
    });
    for (std::size_t id = 0; id < link.size(); ++id)
      CHECK(exchange.link_bytes[id].value == link[id]);
    std::vector<double> transfer(ranks), latency(ranks);
    each_flow([&](std::size_t, std::size_t to, double) {
      double along = 0;
      for (const LinkId id : path) {
        const Link& on_path = fabric.links[index(id)];
        transfer[to] = std::max(transfer[to], link[index(id)] / on_path.bandwidth.value);
        along += on_path.latency.count();
      }
      latency[to] = std::max(latency[to], along);
    });
    double flows = 0;
    for (const Flow& flow : exchange.flows) flows += flow.bytes.value;
    CHECK(flows == std::accumulate(sent.begin(), sent.end(), 0.0));
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      CHECK(exchange.sent[rank].value == sent[rank]);
      CHECK(exchange.received[rank].value == received[rank]);
      CHECK(exchange.kept[rank].value == 100 * matrix[rank][rank]);
      CHECK(exchange.transfer[rank].count() == doctest::Approx(transfer[rank]).epsilon(1e-12));
      CHECK(exchange.latency[rank].count() == doctest::Approx(latency[rank]).epsilon(1e-12));
      const auto busiest = index(exchange.busiest[rank]);
      CHECK(link[busiest] / fabric.links[busiest].bandwidth.value ==
            doctest::Approx(transfer[rank]).epsilon(1e-12));
      CHECK(exchange.message_time[rank].count() ==
            doctest::Approx(1e-6 * (sent[rank] / 100 + 2 * 15)).epsilon(1e-12));
    }
  }
}

TEST_CASE("uniform routing takes remote bytes over the NIC, and the bounds agree") {
  const Cluster cluster = make_cluster(2);
  const FabricPaths paths(cluster.fabric);
  const Exchange exchange = make_exchange(paths, 16, row_of(uniform(16, 64), 7408, false));
  // 8 of 16 ranks are in the other node, 7 in the own.
  const double nic = 8 * 64 * 7408.0 / 50e9, nvlink = 7 * 64 * 7408.0 / 200e9;
  CHECK(nic > nvlink);
  for (const Seconds transfer : exchange.transfer)
    CHECK(transfer.count() == doctest::Approx(nic).epsilon(1e-12));
  CHECK(exchange.port_bound.count() == doctest::Approx(nic).epsilon(1e-12));
  // Half the ranks send all of that across, over eight NICs.
  CHECK(exchange.bisection_bound.count() == doctest::Approx(nic).epsilon(1e-9));
}

TEST_CASE("no bytes to others load no link and wait for none") {
  const Cluster cluster = make_cluster(1);
  std::vector<std::uint32_t> own(64);
  for (std::size_t rank = 0; rank < 8; ++rank) own[rank * 9] = 5;
  const Exchange exchange = make_exchange(FabricPaths(cluster.fabric), 8,
                                          row_of(RowCounts::of_matrix(own, 8), 10, false));
  for (std::size_t rank = 0; rank < 8; ++rank) {
    CHECK(exchange.kept[rank] == Bytes(50));
    CHECK(exchange.sent[rank] == Bytes(0));
    CHECK(exchange.transfer[rank].count() == 0);
    CHECK(exchange.busiest[rank] == LinkId{-1});
  }
  CHECK(exchange.flows.empty());
}

TEST_CASE("distinct tokens by rank and node equal a token-by-token recount") {
  for (const StepCase& c : {StepCase{}, StepCase{.choice = ReplicaChoice::nearest, .seed = 2},
                            StepCase{.nodes = 4, .expert_parallel = 16, .tensor = 4, .seed = 3}}) {
    const StepWorld world(c);
    const auto counted = count_all(world, true);
    for (std::size_t layer = 0; layer < counted.size(); ++layer) {
      const TokenRecount expected = recount_tokens(world, layer);
      const auto ranks = static_cast<std::size_t>(counted[layer]->ranks);
      bool equal = true;
      for (std::size_t source = 0; source < ranks; ++source) {
        for (std::size_t rank = 0; rank < ranks; ++rank)
          equal = equal &&
                  counted[layer]->rank_tokens.at(source, rank) == expected.by_rank[source][rank];
        for (std::size_t node = 0; node < ranks / 8; ++node)
          equal = equal &&
                  counted[layer]->node_tokens.at(source, node) == expected.by_node[source][node];
      }
      CHECK(equal);
    }
  }
}
