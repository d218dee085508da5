// Times of hand-made steps, derived from bytes and bandwidths.
#include "sim/replay/replay.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/random.h"
#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;
using doctest::Approx;

Approx exactly(double value) { return Approx(value).epsilon(1e-9); }

double end_of(const Timeline& timeline, std::size_t task, int rank) {
  return timeline.at(task, rank).end.count();
}

std::vector<Flow> skewed_all_to_all(int ranks, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> popularity;
  for (int rank = 0; rank < ranks; ++rank) popularity.push_back(std::exp(0.6 * random.normal()));
  std::vector<Flow> flows;
  for (int source = 0; source < ranks; ++source) {
    for (int destination = 0; destination < ranks; ++destination) {
      const double rows =
          std::floor(20 * popularity[static_cast<std::size_t>(destination)] * random.uniform());
      if (source != destination && rows > 0)
        flows.push_back(flow_of(source, destination, 7168 * rows));
    }
  }
  return flows;
}

TEST_CASE("a flow takes its bytes over the NIC's bandwidth, at both fidelities") {
  const Cluster cluster = rails_of(2, 1);
  const StepGraph graph = step_of(2, exchange_of({flow_of(0, 1, 50e6)}, cluster));
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    const Timeline timeline = replay(graph, cluster, fidelity);
    CHECK(end_of(timeline, 0, 1) == exactly(50e6 / 50e9));
    CHECK(end_of(timeline, 0, 0) == 0);
    CHECK(timeline.makespan.count() == exactly(50e6 / 50e9));
  }
}

TEST_CASE("two flows out of one NIC share it evenly, then the longer has it alone") {
  const Cluster cluster = rails_of(3, 1);
  const StepGraph graph =
      step_of(3, exchange_of({flow_of(0, 1, 50e6), flow_of(0, 2, 100e6)}, cluster));
  const Timeline timeline = replay(graph, cluster, Fidelity::flows);
  CHECK(end_of(timeline, 0, 1) == exactly(2 * 50e6 / 50e9));
  CHECK(end_of(timeline, 0, 2) == exactly((2 * 50e6 + 50e6) / 50e9));
}

TEST_CASE("flows share a NIC evenly whatever the number of links on their paths") {
  // Rank 0 sends to rank 2 (its rail, two links) and to rank 3 (across rails, four links).
  const Cluster cluster = rails_of(2, 2);
  const StepGraph graph =
      step_of(4, exchange_of({flow_of(0, 2, 50e6), flow_of(0, 3, 50e6)}, cluster));
  const Timeline timeline = replay(graph, cluster, Fidelity::flows);
  CHECK(end_of(timeline, 0, 2) == exactly(2 * 50e6 / 50e9));
  CHECK(end_of(timeline, 0, 3) == exactly(2 * 50e6 / 50e9));
}

TEST_CASE("NVLink and NIC of one GPU carry their flows side by side") {
  const Cluster cluster = rails_of(2, 2);
  const StepGraph graph =
      step_of(4, exchange_of({flow_of(0, 1, 400e6), flow_of(0, 2, 25e6)}, cluster));
  const Timeline timeline = replay(graph, cluster, Fidelity::flows);
  CHECK(end_of(timeline, 0, 1) == exactly(1e-3));
  CHECK(end_of(timeline, 0, 2) == exactly(0.5e-3));
}

TEST_CASE("a hot receiver waits for all of its senders through its one NIC") {
  const Cluster cluster = rails_of(8, 1);
  std::vector<Flow> flows;
  for (int source = 1; source < 8; ++source) flows.push_back(flow_of(source, 0, 10e6));
  flows.push_back(flow_of(0, 1, 10e6));
  const StepGraph graph = step_of(8, exchange_of(flows, cluster));
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    const Timeline timeline = replay(graph, cluster, fidelity);
    CHECK(end_of(timeline, 0, 0) == exactly(7 * 10e6 / 50e9));
    CHECK(end_of(timeline, 0, 1) == exactly(10e6 / 50e9));
    CHECK(end_of(timeline, 0, 2) == 0);
  }
}

TEST_CASE("bound and flows agree on the makespan of skewed exchanges where ports limit") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Cluster cluster = rails_of(24, 1);
    const StepGraph graph = step_of(24, exchange_of(skewed_all_to_all(24, seed), cluster));
    const double bound = replay(graph, cluster, Fidelity::bound).makespan.count();
    const double flows = replay(graph, cluster, Fidelity::flows).makespan.count();
    CHECK(bound == exactly(graph.exchanges[0].port_bound.count()));
    CHECK(flows == exactly(bound));
  }
}

TEST_CASE("flows find an oversubscribed spine: two rails' senders through half the bandwidth") {
  // Two nodes of two GPUs, 4:1: one spine, each leaf's uplink is 2 x 50 / 4 = 25 GB/s.
  const Cluster cluster = rails_of(2, 2, 4);
  const StepGraph graph = step_of(4, exchange_of({flow_of(0, 3, 25e6)}, cluster));
  CHECK(replay(graph, cluster, Fidelity::flows).makespan.count() == exactly(25e6 / 25e9));
  CHECK(replay(graph, cluster, Fidelity::bound).makespan.count() == exactly(25e6 / 25e9));
}

TEST_CASE("efficiency, latency and the fixed time lengthen an exchange by what they say") {
  TopologyOptions options;
  options.nodes = 2;
  options.gpus_per_node = 1;
  options.nvlink = BytesPerSecond(400e9);
  options.nic = BytesPerSecond(50e9);
  options.nic_latency = Seconds(4e-6);
  const Cluster cluster = cluster_of("rail_optimized", options);
  Exchange exchange = exchange_of({flow_of(0, 1, 40e6)}, cluster);
  exchange.nic_efficiency = 0.8;
  for (Seconds& transfer : exchange.transfer) transfer = transfer / 0.8;
  exchange.fixed = Seconds(20e-6);
  const StepGraph graph = step_of(2, exchange);
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows})
    CHECK(end_of(replay(graph, cluster, fidelity), 0, 1) ==
          exactly(40e6 / (0.8 * 50e9) + 4e-6 + 20e-6));
}

TEST_CASE("a rank that issues many messages ends no sooner than it has issued them") {
  const Cluster cluster = rails_of(2, 1);
  Exchange exchange = exchange_of({flow_of(0, 1, 50e3), flow_of(1, 0, 50e3)}, cluster);
  exchange.message_time = {Seconds(3e-6), Seconds(0.5e-6)};
  const StepGraph graph = step_of(2, exchange);
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    const Timeline timeline = replay(graph, cluster, fidelity);
    CHECK(end_of(timeline, 0, 0) == exactly(3e-6));  // messages, not 50 kB over the NIC
    CHECK(end_of(timeline, 0, 1) == exactly(1e-6));  // 50 kB over the NIC
  }
}

// Rank 0 is late into the dispatch, rank 1 into the combine: with a synchronisation at each, the
// step pays both delays, not the larger.
TEST_CASE("rank 0 slow in attention, rank 1 in experts: the delays add") {
  const Cluster cluster = rails_of(2, 1);
  const Exchange exchange = exchange_of({flow_of(0, 1, 50e6), flow_of(1, 0, 50e6)}, cluster);
  StepGraph graph;
  graph.ranks = 2;
  add_compute(graph, TaskKind::attention, {5e-3, 1e-3});
  add_exchange(graph, TaskKind::dispatch, exchange);
  add_compute(graph, TaskKind::expert_ffn, {1e-3, 7e-3});
  add_exchange(graph, TaskKind::combine, exchange);
  const Timeline timeline = replay(graph, cluster, Fidelity::bound);
  CHECK(timeline.makespan.count() == exactly(5e-3 + 1e-3 + 7e-3 + 1e-3));
  CHECK(timeline.ready_at(1, 0).count() == exactly(5e-3));
  CHECK(timeline.at(1, 1).start.count() == exactly(1e-3));
  CHECK(timeline.ready_at(3, 0).count() == exactly(5e-3 + 1e-3 + 7e-3));
}

TEST_CASE("with flows, an early sender's bytes move while the others still compute") {
  const Cluster cluster = rails_of(3, 1);
  StepGraph graph;
  graph.ranks = 3;
  add_compute(graph, TaskKind::attention, {0, 4e-3, 2e-3});
  add_exchange(graph, TaskKind::dispatch,
               exchange_of({flow_of(0, 2, 100e6), flow_of(1, 2, 50e6)}, cluster));
  add_compute(graph, TaskKind::expert_ffn, {1e-3, 1e-3, 1e-3});
  add_exchange(graph, TaskKind::combine, exchange_of({flow_of(2, 0, 50e6)}, cluster));
  const Timeline timeline = replay(graph, cluster, Fidelity::flows);
  CHECK(timeline.ready_at(1, 0).count() == exactly(4e-3));
  CHECK(end_of(timeline, 1, 2) == exactly(4e-3 + 1e-3));  // 100 MB came before 4 ms, 50 MB after
  CHECK(end_of(timeline, 1, 0) == exactly(4e-3));         // a count from every rank, no bytes
  CHECK(end_of(timeline, 3, 0) == exactly(4e-3 + 1e-3 + 1e-3 + 1e-3));
}

TEST_CASE("tasks between two exchanges follow one another on each rank") {
  const Cluster cluster = rails_of(2, 1);
  StepGraph graph;
  graph.ranks = 2;
  add_compute(graph, TaskKind::attention, {1e-3, 2e-3});
  add_compute(graph, TaskKind::router, {3e-3, 1e-3});
  add_exchange(graph, TaskKind::dispatch, exchange_of({flow_of(0, 1, 50e6)}, cluster));
  add_compute(graph, TaskKind::head, {1e-3, 1e-3});
  const Timeline timeline = replay(graph, cluster, Fidelity::bound);
  CHECK(timeline.at(1, 0).start.count() == exactly(1e-3));
  CHECK(timeline.at(1, 1).start.count() == exactly(2e-3));
  CHECK(timeline.ready_at(2, 0).count() == exactly(4e-3));
  CHECK(end_of(timeline, 3, 0) == exactly(4e-3 + 1e-3));  // nothing comes to rank 0
  CHECK(end_of(timeline, 3, 1) == exactly(4e-3 + 1e-3 + 1e-3));
}

TEST_CASE("a replay does not depend on those before it") {
  const Cluster cluster = rails_of(4, 2);
  StepGraph graph;
  graph.ranks = 8;
  add_compute(graph, TaskKind::attention, {1e-3, 2e-3, 3e-3, 4e-3, 4e-3, 3e-3, 2e-3, 1e-3});
  add_exchange(graph, TaskKind::dispatch, exchange_of(skewed_all_to_all(8, 5), cluster));
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    const Timeline first = replay(graph, cluster, fidelity);
    for (int repeat = 0; repeat < 3; ++repeat) {
      const Timeline next = replay(graph, cluster, fidelity);
      REQUIRE(next.intervals.size() == first.intervals.size());
      for (std::size_t i = 0; i < first.intervals.size(); ++i)
        CHECK(next.intervals[i].end.count() == exactly(first.intervals[i].end.count()));
    }
  }
}

TEST_CASE("one rank replays without a network") {
  const Cluster cluster = rails_of(1, 1);
  StepGraph graph = step_of(1, exchange_of({}, cluster));
  add_compute(graph, TaskKind::head, {2e-3});
  CHECK(replay(graph, cluster, Fidelity::flows).makespan.count() == exactly(2e-3));
}

TEST_CASE("flows that were not kept are missed before the engine starts") {
  const Cluster cluster = rails_of(2, 1);
  StepGraph graph = step_of(2, exchange_of({flow_of(0, 1, 50e6)}, cluster));
  graph.exchanges[0].flows.clear();
  CHECK_THROWS_WITH_AS(replay(graph, cluster, Fidelity::flows), doctest::Contains("keep_flows"),
                       CheckError);
  CHECK_NOTHROW(replay(graph, cluster, Fidelity::bound));
}

TEST_CASE("fidelities read as they are written, others are refused with the nearest") {
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows})
    CHECK(parse_fidelity(to_text(fidelity)) == fidelity);
  CHECK_THROWS_WITH_AS(parse_fidelity("flow"), doctest::Contains("\"flows\""), InputError);
}

}  // namespace
}  // namespace moesim
