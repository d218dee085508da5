// Waiting by cause: by hand, and that the causes add up to all waiting whatever overlaps.
#include "sim/result/waits.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/sim/plan/step_fixture.h"
#include "tests/sim/replay/hand_made.h"
#include "tests/sim/result/measured_step.h"

namespace moesim {
namespace {

using doctest::Approx;

using test::measured;

double all_causes(const PointResult& result) {
  double sum = 0;
  for (const WaitResult& wait : result.waits)
    sum = std::accumulate(wait.by_cause.begin(), wait.by_cause.end(), sum);
  return sum;
}

double cause(const PointResult& result, int layer, const std::string& name) {
  for (const WaitResult& wait : result.waits) {
    if (wait.layer != layer) continue;
    for (std::size_t i = 0; i < result.wait_causes.size(); ++i)
      if (result.wait_causes[i] == name) return wait.by_cause.at(i);
  }
  return 0;
}

TEST_CASE("the causes of waiting add up to it, and a rank's parts to the step, in every schedule") {
  for (const char* overlap : {"none", "shared_expert", "two_batch"}) {
    for (const int expert_parallel : {16, 8}) {
      CAPTURE(overlap);
      CAPTURE(expert_parallel);
      test::StepWorld world({.expert_parallel = expert_parallel});
      world.plan.overlap = overlap;
      world.batch.by_rank[3].assign(world.batch.by_rank[3].size(), {3, Phase::decode, 1, 90000});
      const StepGraph graph = world.build(2, false, true);
      const Timeline timeline = replay(graph, world.cluster, Fidelity::links);
      const PointResult result = measured(graph, timeline, world);
      const double makespan = timeline.makespan.count();
      CHECK(all_causes(result) == Approx(find_metric(result, "wait")->value).epsilon(1e-9));
      for (const RankResult& rank : result.ranks_detail)
        CHECK(rank.compute + rank.exchange + rank.wait == Approx(makespan).epsilon(1e-9));
      double path = 0;
      for (const auto& [kind, seconds] : result.breakdown) path += seconds;
      CHECK(path == Approx(makespan).epsilon(1e-9));
      CHECK(cause(result, 0, "context") > 0);  // rank 3's
      CHECK((find_metric(result, "hidden_exchanges") != nullptr) ==
            (std::string(overlap) == "two_batch"));
    }
  }
}

TEST_CASE("what made the late rank late is the cause, noise apart from the kernel it is in") {
  using namespace hand_made;
  const Cluster cluster = rails_of(2, 1);
  StepGraph graph;
  graph.ranks = 2;
  add_compute(graph, TaskKind::attention, {1, 4});
  graph.tasks[0].noise = {Seconds(0), Seconds(1)};
  add_compute(graph, TaskKind::router, {1, 3});
  add_exchange(graph, TaskKind::dispatch,
               exchange_of({flow_of(0, 1, 50e9), flow_of(1, 0, 100e9)}, cluster));  // 1 and 2 s
  add_compute(graph, TaskKind::expert_ffn, {5, 2});
  add_exchange(graph, TaskKind::combine, exchange_of({}, cluster));
  test::StepWorld world(test::StepCase{});
  world.cluster = cluster;
  const PointResult result = measured(graph, replay(graph, cluster, Fidelity::bound), world);
  // Rank 0 waits 5 s before dispatch: attention 2, its noise 1, router 2. Rank 1 waits before
  // combine: dispatch into rank 0 took 1 s longer, its experts 3 s.
  CHECK(cause(result, 0, "context") == Approx(2.0 / 2));
  CHECK(cause(result, 0, "noise") == Approx(1.0 / 2));
  CHECK(cause(result, 0, "tokens") == Approx(2.0 / 2));
  CHECK(cause(result, 0, "ingress") == Approx(1.0 / 2));
  CHECK(cause(result, 0, "experts") == Approx(3.0 / 2));
  CHECK(all_causes(result) == Approx((5.0 + 4.0) / 2));
}

TEST_CASE("a part in which the late rank was faster is negative") {
  using namespace hand_made;
  const Cluster cluster = rails_of(2, 1);
  StepGraph graph;
  graph.ranks = 2;
  add_compute(graph, TaskKind::attention, {3, 1});
  add_compute(graph, TaskKind::router, {1, 6});
  add_exchange(graph, TaskKind::dispatch, exchange_of({}, cluster));
  test::StepWorld world(test::StepCase{});
  world.cluster = cluster;
  const PointResult result = measured(graph, replay(graph, cluster, Fidelity::bound), world);
  CHECK(cause(result, 0, "context") == Approx(-2.0 / 2));
  CHECK(cause(result, 0, "tokens") == Approx(5.0 / 2));
}

}  // namespace
}  // namespace moesim
