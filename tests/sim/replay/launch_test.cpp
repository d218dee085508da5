// A host that launches kernel by kernel: by hand, and that nothing else changes.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/sim/replay/hand_made.h"
#include "tests/sim/result/measured_step.h"

namespace moesim {
namespace {

using namespace hand_made;
using doctest::Approx;

// attention 1 s (two kernels), router 0.5 s, an exchange of 1 s, experts 2 s.
StepGraph launched(double seconds) {
  const Cluster cluster = rails_of(2, 1);
  StepGraph graph;
  graph.ranks = 2;
  graph.launch = Seconds(seconds);
  add_compute(graph, TaskKind::attention, {1, 1});
  graph.tasks[0].launches = 2;
  add_compute(graph, TaskKind::router, {0.5, 0.5});
  add_exchange(graph, TaskKind::dispatch,
               exchange_of({flow_of(0, 1, 50e9), flow_of(1, 0, 50e9)}, cluster));
  add_compute(graph, TaskKind::expert_ffn, {2, 2});
  return graph;
}

void runs(const StepGraph& graph, const std::vector<std::pair<double, double>>& spans) {
  const Cluster cluster = rails_of(2, 1);
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    const Timeline timeline = replay(graph, cluster, fidelity);
    check_step(graph, timeline, cluster);
    for (std::size_t task = 0; task < spans.size(); ++task) {
      CAPTURE(task);
      CHECK(timeline.at(task, 1).start.count() == Approx(spans[task].first));
      CHECK(timeline.at(task, 1).end.count() == Approx(spans[task].second));
    }
  }
}

TEST_CASE("a kernel waits until the host has launched it, and its time says so") {
  // Launched at 2, 3 and, the exchange's between, 5.
  runs(launched(1), {{0, 3}, {3, 3.5}, {3.5, 4.5}, {4.5, 7}});
}

TEST_CASE("a host that is ahead of the GPU costs nothing but the first kernel") {
  runs(launched(0.1), {{0, 1.2}, {1.2, 1.7}, {1.7, 2.7}, {2.7, 4.7}});
  runs(launched(0), {{0, 1}, {1, 1.5}, {1.5, 2.5}, {2.5, 4.5}});
}

TEST_CASE("launching begins when the host has done its own work") {
  StepGraph graph = launched(1);
  Task host;
  host.kind = TaskKind::host;
  host.by_rank = {Seconds(4), Seconds(4)};
  graph.tasks.insert(graph.tasks.begin(), host);
  runs(graph, {{0, 4}, {4, 7}, {7, 7.5}, {7.5, 8.5}, {8.5, 11}});
}

TEST_CASE("with launches the parts of a step and of its waiting still add up, in every schedule") {
  for (const char* overlap : {"none", "shared_expert", "two_batch"}) {
    CAPTURE(overlap);
    test::StepWorld world(test::StepCase{});
    world.plan.overlap = overlap;
    double before = 0;
    for (const double launch : {0.0, 1e-6, 20e-6, 200e-6}) {
      CAPTURE(launch);
      world.batch.launch = Seconds(launch);
      const StepGraph graph = world.build(2, false, true);
      const Timeline timeline = replay(graph, world.cluster, Fidelity::links);
      check_step(graph, timeline, world.cluster);
      const double makespan = timeline.makespan.count();
      CHECK(makespan >= before);
      before = makespan;
      const PointResult result = test::measured(graph, timeline, world);
      double path = 0, host = 0, causes = 0;
      for (const auto& [kind, seconds] : result.breakdown) {
        path += seconds;
        if (kind == "host") host = seconds;
      }
      CHECK(path == Approx(makespan).epsilon(1e-9));
      CHECK((host > 0) == (launch > 0));
      for (const WaitResult& wait : result.waits)
        causes = std::accumulate(wait.by_cause.begin(), wait.by_cause.end(), causes);
      CHECK(causes == Approx(find_metric(result, "wait")->value).epsilon(1e-9));
    }
    // Bound by launches, a step takes as long as all of them together: no kernel is that long.
    const StepGraph graph = world.build();
    int launches = 0;
    for (const Task& task : graph.tasks) launches += task.launches;
    CHECK(before >= 0.9 * launches * 200e-6);
    CHECK(before <= 1.3 * launches * 200e-6);
  }
}

}  // namespace
}  // namespace moesim
