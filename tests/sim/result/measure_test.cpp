// One layer on two ranks, timed by hand:
//   rank 0: attention 0-1, waits to 3, dispatch 3-4, experts 4-9, combine 9-10
//   rank 1: attention 0-3,             dispatch 3-4, experts 4-5, waits to 9, combine 9-10
#include "sim/result/measure.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/sim/replay/hand_made.h"

using namespace moesim;

namespace {

// A step put together task by task, with the times its replay found.
struct Timed {
  Cluster cluster;
  MoeModel model;
  ShardingPlan plan;
  StepGraph graph;
  Timeline timeline;

  Timed(int ranks, double makespan) {
    cluster.fabric.ranks = cluster.fabric.ranks_per_node = graph.ranks = timeline.ranks = ranks;
    cluster.fabric.links = {{"a", LinkTier::nic, BytesPerSecond(100), Seconds(0)},
                            {"b", LinkTier::nic, BytesPerSecond(100), Seconds(0)}};
    model.layers.resize(1);
    plan.parallelism = {ranks, ranks, 1};
    graph.tokens = 20;
    timeline.makespan = Seconds(makespan);
  }

  Task task_of(TaskKind kind, Basis basis) const {
    Task task;
    task.kind = kind;
    task.layer = 0;
    task.basis = basis;
    return task;
  }

  void add_compute(TaskKind kind, std::vector<double> durations, std::vector<double> starts) {
    Task task = task_of(kind, Basis::calibrated);
    for (std::size_t rank = 0; rank < durations.size(); ++rank) {
      task.by_rank.push_back(Seconds(durations[rank]));
      timeline.intervals.push_back(
          {Seconds(starts[rank]), Seconds(starts[rank] + durations[rank])});
    }
    timeline.exchange_of.push_back(-1);
    graph.tasks.push_back(task);
  }

  // `ready` and `ends` by group of `group_ranks`.
  void add_exchange(TaskKind kind,
                    std::vector<double> starts,
                    std::size_t group_ranks,
                    std::vector<double> ready,
                    std::vector<double> ends) {
    Task task = task_of(kind, Basis::datasheet);
    task.exchange = static_cast<int>(graph.exchanges.size());
    timeline.exchange_of.push_back(task.exchange);
    Exchange exchange;
    exchange.group_ranks = static_cast<int>(group_ranks);
    exchange.link_bytes = {Bytes(30), Bytes(0)};
    for (std::size_t rank = 0; rank < starts.size(); ++rank) {
      exchange.sent.push_back(Bytes(rank == 0 ? 30 : 20));
      exchange.received.push_back(Bytes(rank == 0 ? 20 : 30));
      exchange.kept.push_back(Bytes(0));
      timeline.intervals.push_back({Seconds(starts[rank]), Seconds(ends[rank / group_ranks])});
      timeline.ready.push_back(Seconds(ready[rank / group_ranks]));
      exchange.busiest.push_back(LinkId{0});
    }
    timeline.links = 2;
    timeline.drained.insert(timeline.drained.end(), {Seconds(ends[0]), Seconds(0)});
    graph.tasks.push_back(task);
    graph.exchanges.push_back(exchange);
  }

  PointResult measured() const {
    Measurement measurement(cluster, model, plan);
    measurement.add(graph, timeline);
    measurement.add(graph, timeline);  // means over two equal steps are the step's own figures
    PointResult result;
    measurement.fill(result);
    return result;
  }
};

struct HandMade : Timed {
  HandMade() : Timed(2, 10) {
    plan.placement = {{{LogicalExpert{0}, LogicalExpert{1}, LogicalExpert{2}, LogicalExpert{3}},
                       {Rank{0}, Rank{0}, Rank{1}, Rank{1}}}};
    add_compute(TaskKind::attention, {1, 3}, {0, 0});
    add_exchange(TaskKind::dispatch, {1, 3}, 2, {3}, {4});
    add_compute(TaskKind::expert_ffn, {5, 1}, {4, 4});
    add_exchange(TaskKind::combine, {9, 5}, 2, {9}, {10});
    graph.loads = {hand_made::load_of({10, 40, 6, 4}, {50, 10})};
  }
};

// Two EP groups: rank 1 is late into the dispatch of ranks 0 and 1, the others need longer in all.
//   rank 0: attention 0-1, waits to 6, dispatch 6-7, experts 7-8, combine 8-9, waits to 10
//   rank 1: attention 0-6,             dispatch 6-7, experts 7-8, combine 8-9, waits to 10
//   rank 2: attention 0-3, waits to 5, dispatch 5-6, experts 6-8, waits to 9, combine 9-10
//   rank 3: attention 0-5,             dispatch 5-6, experts 6-9,             combine 9-10
struct TwoGroups : Timed {
  TwoGroups() : Timed(4, 10) {
    plan.parallelism = {4, 2, 1};
    add_compute(TaskKind::attention, {1, 6, 3, 5}, {0, 0, 0, 0});
    add_exchange(TaskKind::dispatch, {1, 6, 3, 5}, 2, {6, 5}, {7, 6});
    add_compute(TaskKind::expert_ffn, {1, 1, 2, 3}, {7, 7, 6, 6});
    add_exchange(TaskKind::combine, {8, 8, 8, 9}, 2, {8, 9}, {9, 10});
  }
};

}  // namespace

TEST_CASE(
    "The critical path's parts sum to the step: the late rank's attention and experts, and both "
    "exchanges") {
  const PointResult result = HandMade().measured();
  const std::map<std::string, double> parts(result.breakdown.begin(), result.breakdown.end());
  CHECK(parts.at(to_text(TaskKind::attention)) == doctest::Approx(3));   // of rank 1
  CHECK(parts.at(to_text(TaskKind::expert_ffn)) == doctest::Approx(5));  // of rank 0
  CHECK(parts.at(to_text(TaskKind::dispatch)) == doctest::Approx(1));
  CHECK(parts.at(to_text(TaskKind::combine)) == doctest::Approx(1));
  CHECK(find_metric(result, "step_time")->value == doctest::Approx(10));
  CHECK(find_metric(result, "compute")->value == doctest::Approx(8));
}

TEST_CASE("Compute, exchange and wait of each rank sum to the step") {
  const PointResult result = HandMade().measured();
  CHECK(result.ranks_detail[0].compute == doctest::Approx(6));
  CHECK(result.ranks_detail[0].wait == doctest::Approx(2));
  CHECK(result.ranks_detail[1].compute == doctest::Approx(4));
  CHECK(result.ranks_detail[1].wait == doctest::Approx(4));
  for (const RankResult& rank : result.ranks_detail)
    CHECK(rank.compute + rank.exchange + rank.wait == doctest::Approx(10));
  CHECK(find_metric(result, "wait")->value == doctest::Approx(3));
}

TEST_CASE("The straggler is the rank that made the others wait most, with the expert that did it") {
  // Rank 0 enters combine 2 s after the mean start (9 against 7), rank 1 enters dispatch 1 s after
  // it (3 against 2).
  const PointResult result = HandMade().measured();
  CHECK(result.straggler == 0);
  // Expert 1 draws 40 copies, the mean of four experts is 60 / 4 = 15: 2.7 times.
  CHECK(result.straggler_cause ==
        "expert_ffn is 100 % of its delay: expert 1 of layer 0 draws 2.7x the mean");
}

TEST_CASE("A band is the sum of its parts' bands and the basis the weakest") {
  const PointResult result = HandMade().measured();
  const Metric* step = find_metric(result, "step_time");
  const double spread = 8 * basis_error(Basis::calibrated) + 2 * basis_error(Basis::datasheet);
  CHECK(step->low == doctest::Approx(10 - spread));
  CHECK(step->high == doctest::Approx(10 + spread));
  CHECK(step->basis == Basis::datasheet);
}

TEST_CASE("Balancedness, throughput and links follow from the sums") {
  const PointResult result = HandMade().measured();
  CHECK(find_metric(result, "balancedness")->value ==
        doctest::Approx(30.0 / 50));  // mean 30, max 50 copies
  CHECK(find_metric(result, "tokens_per_second_per_gpu")->value == doctest::Approx(20.0 / 2 / 10));
  REQUIRE(result.links.size() == 1);  // link b carried nothing
  CHECK(result.links[0].bytes == doctest::Approx(60));
  CHECK(result.links[0].utilisation == doctest::Approx(60.0 / 100 / 10));
  CHECK(result.links[0].busy_share == doctest::Approx(60.0 / 100 / 2));
  CHECK(result.expert_load[0][1] == 80);
}

TEST_CASE("The critical path stays in its group of ranks, and a group waits for its own only") {
  const PointResult result = TwoGroups().measured();
  const std::map<std::string, double> parts(result.breakdown.begin(), result.breakdown.end());
  CHECK(parts.at(to_text(TaskKind::attention)) == doctest::Approx(5));  // of rank 3, not rank 1's 6
  CHECK(parts.at(to_text(TaskKind::expert_ffn)) == doctest::Approx(3));
  CHECK(find_metric(result, "exchanges")->value == doctest::Approx(2));
  CHECK(find_metric(result, "step_time")->value == doctest::Approx(10));
  const double waits[] = {5 + 1, 1, 2 + 1, 0};
  for (std::size_t rank = 0; rank < 4; ++rank) {
    const RankResult& one = result.ranks_detail[rank];
    CHECK(one.wait == doctest::Approx(waits[rank]));
    CHECK(one.compute + one.exchange + one.wait == doctest::Approx(10));
  }
  // Rank 1 enters dispatch 6 - 3.5 s after its group's mean; rank 3 dispatch 5 - 4 and combine
  // 9 - 8.5 s.
  CHECK(result.straggler == 1);
  CHECK(result.straggler_cause == "attention is 100 % of its delay");
}

// Attention makes ranks 2 and 3 late together. Their reduce-scatter waits for no one, and a second
// later they are late into the dispatch of all.
TEST_CASE("A group's late exchange is put down to what made the group late") {
  Timed step(4, 8);
  step.plan.parallelism = {4, 4, 2};
  step.add_compute(TaskKind::attention, {2, 2, 6, 6}, {0, 0, 0, 0});
  step.add_exchange(TaskKind::tensor_reduce, {2, 2, 6, 6}, 2, {2, 6}, {3, 7});
  step.add_exchange(TaskKind::dispatch, {3, 3, 7, 7}, 4, {7}, {8});
  const PointResult result = step.measured();
  CHECK(result.straggler == 2);
  CHECK(result.straggler_cause == "attention is 100 % of its delay");
}
