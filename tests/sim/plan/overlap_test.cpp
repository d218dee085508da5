// Every overlap schedule, on one small step: it does the same work, in an order that replays, and
// no slower than the physics says.
#include "sim/plan/overlap.h"

#include <doctest/doctest.h>

#include <map>
#include <numeric>

#include "sim/plan/micro_batches.h"
#include "sim/replay/replay.h"
#include "tests/sim/plan/loads_by_layer.h"
#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using namespace moesim::test;

namespace {

StepGraph graph_of(const StepWorld& world, const std::string& overlap, Fidelity fidelity) {
  StepWorld other = world;
  other.plan.overlap = overlap;
  return other.build(2, fidelity == Fidelity::flows, fidelity == Fidelity::links);
}

std::vector<std::string> schedules() { return Catalog<OverlapPart>::instance().names(); }

// gpt-oss-20b has no shared expert; deepseek-v2-lite has, and dense first layers.
StepWorld with_shared_expert() {
  StepWorld world(StepCase{});
  world.model = load_model("deepseek-v2-lite");
  world.model.experts = 32;
  world.model.top_k = 4;
  return world;
}

}  // namespace

TEST_CASE("every overlap schedule routes every token copy, and its step replays at each fidelity") {
  for (const StepWorld& world : {StepWorld(StepCase{}), StepWorld(StepCase{.tensor = 2}),
                                 StepWorld(StepCase{.expert_parallel = 8}), with_shared_expert()}) {
    const StepGraph plain = graph_of(world, "none", Fidelity::bound);
    for (const std::string& name : schedules()) {
      CAPTURE(name);
      for (const Fidelity fidelity : {Fidelity::bound, Fidelity::links, Fidelity::flows}) {
        const StepGraph graph = graph_of(world, name, fidelity);
        CHECK(graph.routed_copies == plain.routed_copies);
        CHECK(loads_by_layer(graph) == loads_by_layer(plain));
        const Timeline timeline = replay(graph, world.cluster, fidelity);
        CHECK(check_step(graph, timeline, world.cluster).passed.size() >= 4);
        for (int rank = 0; rank < graph.ranks; ++rank) {
          Seconds kernels{};
          for (const Task& task : graph.tasks)
            if (task.exchange < 0) kernels += task.by_rank[static_cast<std::size_t>(rank)];
          CHECK(kernels <= timeline.makespan * (1 + 1e-12));
        }
      }
    }
  }
}

TEST_CASE("a shared expert beside dispatch makes no step longer and hides behind it") {
  const StepWorld world = with_shared_expert();
  const StepGraph plain = graph_of(world, "none", Fidelity::bound);
  const StepGraph beside = graph_of(world, "shared_expert", Fidelity::bound);
  double shared = 0;  // every rank has as many tokens, but for two
  for (const Task& task : plain.tasks)
    if (task.kind == TaskKind::shared_expert) shared += task.by_rank[0].count();
  const double before = replay(plain, world.cluster, Fidelity::bound).makespan.count();
  const double after = replay(beside, world.cluster, Fidelity::bound).makespan.count();
  REQUIRE(shared > 0);
  CHECK(before - after == doctest::Approx(shared).epsilon(0.05));
}

TEST_CASE("two batches hide exchanges behind kernels, but not where kernels are too short") {
  StepCase large{.tokens = 24};
  StepWorld world(large);
  // With kernels twenty times as long, exchanges disappear behind them; as they are, weights are
  // read twice and the launch costs paid twice.
  const auto gain = [&](double factor) {
    double times[2];
    for (const int two : {0, 1}) {
      StepGraph graph = graph_of(world, two != 0 ? "two_batch" : "none", Fidelity::bound);
      for (Task& task : graph.tasks)
        for (Seconds& time : task.by_rank) time *= two != 0 ? factor / 2 : factor;
      times[two] = replay(graph, world.cluster, Fidelity::bound).makespan.count();
    }
    return times[0] / times[1];
  };
  CHECK(gain(20) > 1.1);
  StepGraph graph = graph_of(world, "two_batch", Fidelity::bound);
  CHECK(replay(graph, world.cluster, Fidelity::bound).makespan >
        replay(graph_of(world, "none", Fidelity::bound), world.cluster, Fidelity::bound).makespan);
}

TEST_CASE("exchanges of two batches travel while the other one computes") {
  const StepWorld world(StepCase{});
  const StepGraph graph = graph_of(world, "two_batch", Fidelity::bound);
  const Timeline timeline = replay(graph, world.cluster, Fidelity::bound);
  Seconds both{};  // of rank 0: time of exchanges while a kernel of the other micro-batch ran
  for (std::size_t i = 0; i < graph.tasks.size(); ++i) {
    if (graph.tasks[i].exchange < 0) continue;
    for (std::size_t j = 0; j < graph.tasks.size(); ++j) {
      if (graph.tasks[j].exchange >= 0) continue;
      const Interval &a = timeline.at(i, 0), &b = timeline.at(j, 0);
      const Seconds together = std::min(a.end, b.end) - std::max(a.start, b.start);
      if (together.count() <= 1e-12) continue;
      both += together;
      CHECK(graph.tasks[i].micro_batch != graph.tasks[j].micro_batch);
    }
  }
  CHECK(both.count() > 0);
}

TEST_CASE("a batch is cut into even parts, prefill entries where the cut falls") {
  Batch batch;
  batch.by_rank = {
      {{0, Phase::prefill, 5, 100}, {1, Phase::prefill, 4, 7}},
      {{2, Phase::decode, 1, 50}, {3, Phase::decode, 1, 60}, {4, Phase::decode, 1, 70}},
      {}};
  batch.rows = {{0, 1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11}, {}};
  const std::vector<Batch> halves = cut_batch(batch, 2);
  REQUIRE(halves.size() == 2);
  CHECK(halves[0].rows[0] == std::vector<std::uint32_t>{0, 1, 2, 3, 4});
  CHECK(halves[1].rows[0] == std::vector<std::uint32_t>{5, 6, 7, 8});
  CHECK(halves[0].rows[1] == std::vector<std::uint32_t>{9, 10});
  CHECK(halves[1].by_rank[1].front().request == 4);
  CHECK(halves[1].rows[2].empty());
  const std::vector<Batch> thirds = cut_batch(batch, 3);
  REQUIRE(thirds[1].by_rank[0].size() == 2);  // tokens 3 to 5: two of request 0, one of request 1
  CHECK(thirds[1].by_rank[0][0].context == 103);
  CHECK(thirds[1].by_rank[0][0].new_tokens == 2);
  CHECK(thirds[1].by_rank[0][1].context == 7);
  CHECK(thirds[2].by_rank[0][0].context == 8);
  CHECK(thirds[2].by_rank[0][0].new_tokens == 3);
}
