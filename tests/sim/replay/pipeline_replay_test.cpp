// What a pipeline's step takes: as many rounds as stages, each as long as its slowest cell.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "sim/plan/link_loads.h"
#include "sim/plan/overlap.h"
#include "sim/replay/replay.h"
#include "tests/sim/plan/step_fixture.h"
#include "tests/sim/result/measured_step.h"

namespace moesim {
namespace {

using doctest::Approx;

// Stages of 8 ranks where every cell takes `cell` seconds of its stage, and nothing else any time.
StepGraph of_cells(const test::StepWorld& world, const std::vector<double>& cell) {
  StepGraph graph = world.build();
  for (Exchange& exchange : graph.exchanges) {
    for (auto* times :
         {&exchange.transfer, &exchange.latency, &exchange.message_time, &exchange.copy_time})
      std::fill(times->begin(), times->end(), Seconds(0));
    exchange.fixed = Seconds(0);
  }
  for (Task& task : graph.tasks) {
    if (task.exchange >= 0) continue;
    const int layers = static_cast<int>(world.model.layers.size() / cell.size());
    const bool counts = task.kind == TaskKind::attention && task.layer % layers == 0;
    for (std::size_t rank = 0; rank < task.by_rank.size(); ++rank) {
      const bool own = task.by_rank[rank].count() > 0;
      task.by_rank[rank] = Seconds(counts && own ? cell[rank / 8] : 0);
    }
  }
  return graph;
}

test::StepWorld piped_of(int nodes, int stages) {
  return test::StepWorld(test::StepCase{.nodes = nodes, .expert_parallel = 8, .pipeline = stages});
}

using test::measured;

double of_cause(const PointResult& result, const std::string& name) {
  double sum = 0;
  for (const WaitResult& wait : result.waits)
    for (std::size_t i = 0; i < wait.by_cause.size(); ++i)
      if (name.empty() || result.wait_causes[i] == name) sum += wait.by_cause[i];
  return sum;
}

TEST_CASE("P stages of equal cells take P cells; with a slow one, P slow cells") {
  for (const int stages : {2, 4}) {
    const test::StepWorld world = piped_of(stages, stages);
    std::vector<double> cells(static_cast<std::size_t>(stages), 0.003);
    CHECK(replay(of_cells(world, cells), world.cluster, Fidelity::bound).makespan.count() ==
          Approx(stages * 0.003).epsilon(1e-9));
    cells[1] = 0.010;
    const StepGraph slow = of_cells(world, cells);
    const Timeline timeline = replay(slow, world.cluster, Fidelity::bound);
    CHECK(timeline.makespan.count() == Approx(stages * 0.010).epsilon(1e-9));
    // All stages but the slow one wait for it in every round.
    const double waited = stages * 0.007 * (stages - 1) / stages;
    const PointResult result = measured(slow, timeline, world);
    CHECK(of_cause(result, "pipeline") == Approx(waited).epsilon(1e-6));
    CHECK(find_metric(result, "wait")->value == Approx(waited).epsilon(1e-6));
    CHECK(result.straggler / 8 == 1);
    CHECK(result.straggler_cause == "the length of its pipeline stage is 100 % of its delay");
  }
}

// Without expert and tensor parallelism ranks meet only where stages hand on.
TEST_CASE("a round ends when the last rank of all stages has done its cell") {
  const test::StepWorld world(
      test::StepCase{.nodes = 4, .redundant = 0, .expert_parallel = 1, .seed = 5, .pipeline = 4});
  const StepGraph graph = world.build();
  std::vector<double> at(32, 0.0);
  for (const Task& task : graph.tasks) {
    if (task.exchange < 0) {
      for (std::size_t rank = 0; rank < 32; ++rank) at[rank] += task.by_rank[rank].count();
      continue;
    }
    REQUIRE(task.kind == TaskKind::stage_send);
    const double ready = *std::max_element(at.begin(), at.end());
    for (std::size_t rank = 0; rank < 32; ++rank)
      at[rank] =
          ready +
          exchange_time(graph.exchanges[static_cast<std::size_t>(task.exchange)], rank).count();
  }
  CHECK(replay(graph, world.cluster, Fidelity::bound).makespan.count() ==
        Approx(*std::max_element(at.begin(), at.end())).epsilon(1e-9));
}

TEST_CASE("a pipeline's step keeps every law at every fidelity, with every overlap schedule") {
  for (const std::string& overlap : Catalog<OverlapPart>::instance().names()) {
    for (const auto& sizes : {std::array{8, 1, 2}, std::array{8, 2, 2}, std::array{4, 2, 4}}) {
      CAPTURE(overlap);
      CAPTURE(sizes[0]);
      CAPTURE(sizes[1]);
      test::StepWorld world(
          test::StepCase{.expert_parallel = sizes[0], .tensor = sizes[1], .pipeline = sizes[2]});
      world.plan.overlap = overlap;
      const StepGraph graph = world.build(2, true, true);
      double flows = 0;
      for (const Fidelity fidelity :
           {Fidelity::flows, Fidelity::paths, Fidelity::links, Fidelity::bound}) {
        CAPTURE(to_text(fidelity));
        const Timeline timeline = replay(graph, world.cluster, fidelity);
        CHECK(check_step(graph, timeline, world.cluster).passed.size() >= 4);
        const double makespan = timeline.makespan.count();
        if (fidelity == Fidelity::flows) flows = makespan;
        if (fidelity == Fidelity::paths) CHECK(makespan == Approx(flows).epsilon(1e-6));
        if (fidelity == Fidelity::links) CHECK(makespan == Approx(flows).epsilon(0.03));
        const PointResult result = measured(graph, timeline, world);
        CHECK(of_cause(result, "") == Approx(find_metric(result, "wait")->value).epsilon(1e-9));
        for (const RankResult& rank : result.ranks_detail)
          CHECK(rank.compute + rank.exchange + rank.wait == Approx(makespan).epsilon(1e-9));
        double path = 0;
        for (const auto& part : result.breakdown) path += part.second;
        CHECK(path == Approx(makespan).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("balancedness of a pipeline's layer is that of the ranks that hold it") {
  const test::StepWorld piped = piped_of(2, 2),
                        alone(test::StepCase{.nodes = 1, .expert_parallel = 8});
  const auto layers_of = [](const test::StepWorld& world) {
    const StepGraph graph = world.build();
    return measured(graph, replay(graph, world.cluster, Fidelity::bound), world);
  };
  const PointResult of_pipeline = layers_of(piped), of_stage = layers_of(alone);
  for (std::size_t layer = 0; layer < 24; ++layer) {
    CHECK(of_pipeline.layers[layer].balancedness == of_stage.layers[layer].balancedness);
    CHECK(of_pipeline.layers[layer].straggler ==
          of_stage.layers[layer].straggler + (layer < 12 ? 0 : 8));
  }
  CHECK(of_pipeline.expert_load == of_stage.expert_load);
}

TEST_CASE("ranks of an exchange that some take no part in neither wait nor pay") {
  const test::StepWorld world = piped_of(2, 2);
  const StepGraph graph = world.build();
  const Timeline timeline = replay(graph, world.cluster, Fidelity::bound);
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (graph.tasks[task].exchange < 0) continue;
    const RankRange among = graph.among(task);
    for (int rank = 0; rank < 16; ++rank) {
      if (among.has(rank)) continue;
      CHECK(timeline.at(task, rank).end == timeline.at(task, rank).start);
      CHECK(timeline.ready_at(task, rank) == timeline.at(task, rank).start);
    }
  }
  StepGraph wrong = graph;
  wrong.exchanges.front().among = {0, 4};  // half a group
  CHECK_THROWS_AS(replay(wrong, world.cluster, Fidelity::bound), CheckError);
  wrong.exchanges.front().among = {8, 16};  // those that move nothing
  CHECK_THROWS_AS(replay(wrong, world.cluster, Fidelity::bound), CheckError);
}

}  // namespace
}  // namespace moesim
