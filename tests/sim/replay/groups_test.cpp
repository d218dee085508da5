// Exchanges within groups of ranks: times of hand-made steps whose groups start apart.
#include <doctest/doctest.h>

#include "sim/replay/replay.h"
#include "tests/sim/plan/step_fixture.h"
#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;
using doctest::Approx;

Approx exactly(double value) { return Approx(value).epsilon(1e-9); }

double end_of(const Timeline& timeline, std::size_t task, int rank) {
  return timeline.at(task, rank).end.count();
}

TEST_CASE("a late group of ranks keeps only its own ranks waiting") {
  const Cluster cluster = rails_of(4, 1);
  Exchange pairs = exchange_of(
      {flow_of(0, 1, 50e6), flow_of(1, 0, 50e6), flow_of(2, 3, 50e6), flow_of(3, 2, 50e6)},
      cluster);
  pairs.group_ranks = 2;
  StepGraph graph;
  graph.ranks = 4;
  add_compute(graph, TaskKind::attention, {2e-3, 1e-3, 9e-3, 8e-3});
  add_exchange(graph, TaskKind::dispatch, pairs);
  add_compute(graph, TaskKind::expert_ffn, {1e-3, 1e-3, 1e-3, 1e-3});
  add_exchange(graph, TaskKind::combine, pairs);
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    CAPTURE(to_text(fidelity));
    const Timeline timeline = replay(graph, cluster, fidelity);
    for (const int rank : {0, 1}) {
      CHECK(timeline.ready_at(1, rank).count() == exactly(2e-3));
      CHECK(timeline.ready_at(1, rank + 2).count() == exactly(9e-3));
      CHECK(timeline.ready_at(3, rank).count() == exactly(4e-3));
      CHECK(timeline.ready_at(3, rank + 2).count() == exactly(11e-3));
    }
    // 50 MB take 1 ms from when the late rank sends them: to rank 1 and rank 3.
    CHECK(end_of(timeline, 1, 1) == exactly(2e-3 + 1e-3));
    CHECK(end_of(timeline, 1, 3) == exactly(9e-3 + 1e-3));
    CHECK(end_of(timeline, 3, 0) == exactly(2e-3 + 1e-3 + 1e-3 + 1e-3));
    CHECK(end_of(timeline, 3, 2) == exactly(9e-3 + 1e-3 + 1e-3 + 1e-3));
    CHECK(timeline.makespan.count() == exactly(12e-3));
  }
}

// Ranks 0 and 1 are two exchanges ahead of 2 and 3 when they send to them: the bytes neither wait
// for the receivers nor pass for those of the pairs.
TEST_CASE("groups drift apart between exchanges of the whole pool") {
  const Cluster cluster = rails_of(4, 1);
  const auto pairs = [&](double bytes) {
    Exchange exchange = exchange_of(
        {flow_of(0, 1, bytes), flow_of(1, 0, bytes), flow_of(2, 3, bytes), flow_of(3, 2, bytes)},
        cluster);
    exchange.group_ranks = 2;
    return exchange;
  };
  StepGraph graph;
  graph.ranks = 4;
  add_exchange(graph, TaskKind::tensor_reduce, pairs(50e6));
  add_compute(graph, TaskKind::attention, {0, 0, 30e-3, 30e-3});
  add_exchange(graph, TaskKind::tensor_gather, pairs(100e6));
  add_exchange(graph, TaskKind::tensor_reduce, pairs(150e6));
  add_exchange(graph, TaskKind::dispatch,
               exchange_of({flow_of(0, 3, 50e6), flow_of(1, 2, 200e6), flow_of(2, 1, 50e6),
                            flow_of(3, 0, 50e6)},
                           cluster));
  add_compute(graph, TaskKind::expert_ffn, {0, 0, 1e-3, 1e-3});
  add_exchange(graph, TaskKind::tensor_gather, pairs(50e6));
  const double ready = 1e-3 + 30e-3 + 2e-3 + 3e-3;  // of the dispatch, by ranks 2 and 3
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    CAPTURE(to_text(fidelity));
    const bool flows = fidelity == Fidelity::flows;
    const Timeline timeline = replay(graph, cluster, fidelity);
    for (const int rank : {0, 1, 2, 3}) {
      CHECK(timeline.at(4, rank).start.count() == exactly(rank < 2 ? 1e-3 + 2e-3 + 3e-3 : ready));
      CHECK(timeline.ready_at(4, rank).count() == exactly(ready));
    }
    // With flows, what was sent 30 ms ago is there.
    CHECK(end_of(timeline, 4, 2) == exactly(flows ? ready : ready + 4e-3));
    CHECK(end_of(timeline, 4, 3) == exactly(flows ? ready : ready + 1e-3));
    for (const int rank : {0, 1}) {
      CHECK(end_of(timeline, 2, rank) == exactly(1e-3 + 2e-3));
      CHECK(end_of(timeline, 4, rank) == exactly(ready + 1e-3));
      CHECK(end_of(timeline, 6, rank) == exactly(ready + 1e-3 + 1e-3));
      CHECK(end_of(timeline, 6, rank + 2) == exactly((flows ? ready : ready + 4e-3) + 2e-3));
    }
  }
}

TEST_CASE("steps of several EP and tensor-parallel groups keep every law at both fidelities") {
  for (const auto& sizes : {std::pair{8, 2}, std::pair{2, 4}, std::pair{16, 8}}) {
    CAPTURE(sizes.first);
    const test::StepWorld world(
        test::StepCase{.expert_parallel = sizes.first, .tensor = sizes.second});
    const StepGraph graph = world.build(1, true);
    for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows})
      CHECK_NOTHROW(check_step(graph, replay(graph, world.cluster, fidelity), world.cluster));
  }
}

TEST_CASE("flows between groups and groups that do not divide the step are refused") {
  const Cluster cluster = rails_of(4, 1);
  Exchange exchange = exchange_of({flow_of(1, 2, 50e6)}, cluster);
  exchange.group_ranks = 2;
  CHECK_THROWS_WITH_AS(replay(step_of(4, exchange), cluster, Fidelity::bound),
                       doctest::Contains("within a group"), CheckError);
  exchange.group_ranks = 3;
  CHECK_THROWS_WITH_AS(replay(step_of(4, exchange), cluster, Fidelity::bound),
                       doctest::Contains("must divide"), CheckError);
}

}  // namespace
}  // namespace moesim
