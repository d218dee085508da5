// Kernels beside exchanges, timed by hand; then random schedules against a second way to time them.
#include "sim/replay/streams.h"

#include <doctest/doctest.h>

#include "sim/core/random.h"
#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;
using doctest::Approx;

// Two nodes of one GPU: kernel a, an exchange of 10 s, kernel b of 6 s beside it, kernel c after
// both.
struct Beside {
  Cluster cluster = rails_of(2, 1);
  StepGraph graph;

  Beside(double speed_taken, double slowdown) {
    graph.ranks = 2;
    Exchange exchange =
        exchange_of({flow_of(0, 1, 500e9), flow_of(1, 0, 500e9)}, cluster);  // 10 s at 50 GB/s
    exchange.speed_taken = speed_taken;
    exchange.slowdown = slowdown;
    add_compute(graph, TaskKind::attention, {1, 3});
    add_exchange(graph, TaskKind::dispatch, exchange);
    add_compute(graph, TaskKind::shared_expert, {6, 6});
    add_compute(graph, TaskKind::expert_ffn, {1, 1});
    graph.tasks[2].after = {0};
    graph.tasks[3].after = {1};
  }

  Timeline run(Fidelity fidelity = Fidelity::bound) {
    const Timeline timeline = replay(graph, cluster, fidelity);
    check_step(graph, timeline, cluster);
    return timeline;
  }
};

void spans(const Timeline& timeline, std::size_t task, int rank, double start, double end) {
  CAPTURE(task);
  CAPTURE(rank);
  CHECK(timeline.at(task, rank).start.count() == Approx(start));
  CHECK(timeline.at(task, rank).end.count() == Approx(end));
}

TEST_CASE("a kernel that need not wait for an exchange runs beside it") {
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    const Timeline timeline = Beside(0, 1).run(fidelity);
    spans(timeline, 1, 0, 1, 13);  // waits for rank 1 until 3
    spans(timeline, 2, 0, 1, 7);
    spans(timeline, 2, 1, 3, 9);
    spans(timeline, 3, 0, 13, 14);
    // Flow by flow, what rank 0 sent from its own start on has arrived by 11.
    const double arrived = fidelity == Fidelity::flows ? 11 : 13;
    spans(timeline, 3, 1, arrived, arrived + 1);
  }
}

TEST_CASE("an exchange takes its SMs from the kernels beside it, also while it waits") {
  const Timeline timeline = Beside(0.25, 1).run();
  spans(timeline, 2, 0, 1, 9);  // 6 s of work at 3/4
  spans(timeline, 2, 1, 3, 11);
  spans(timeline, 3, 0, 13, 14);
}

TEST_CASE("an exchange is slower while kernels run beside it, and only then") {
  const Timeline timeline = Beside(0, 2).run();
  // Rank 0: ready at 3, its kernel runs to 7: 2 of the 10 s are done by then, 8 s are left.
  spans(timeline, 1, 0, 1, 15);
  // Rank 1: kernel from 3 to 9: 3 s done, 7 s left.
  spans(timeline, 1, 1, 3, 16);
  spans(timeline, 3, 0, 15, 16);
  spans(timeline, 3, 1, 16, 17);
}

TEST_CASE("a kernel longer than the exchange slows all of it and gets its SMs back after it") {
  Beside step(0.5, 2);
  step.graph.tasks[2].by_rank = {Seconds(30), Seconds(30)};
  const Timeline timeline = step.run();
  spans(timeline, 1, 1, 3, 23);   // 20 s instead of 10
  spans(timeline, 2, 1, 3, 43);   // half of 20 s, then 20 s more
  spans(timeline, 3, 1, 43, 44);  // the stream is taken until then
}

TEST_CASE("a kernel cut by the end of one exchange goes on beside the next") {
  // The other micro-batch's dispatch (5 s) follows at 15; the kernel of 16 s runs beside both.
  Beside step(0, 1);
  step.graph.tasks[2].by_rank = {Seconds(16), Seconds(16)};
  Exchange next = exchange_of({flow_of(0, 1, 250e9), flow_of(1, 0, 250e9)}, step.cluster);
  next.speed_taken = 0.5;
  add_exchange(step.graph, TaskKind::combine, next);
  std::rotate(step.graph.tasks.begin() + 2, step.graph.tasks.end() - 1, step.graph.tasks.end());
  step.graph.tasks[3].after = {0};  // task 2 is the second exchange, behind the first
  step.graph.tasks[4].after = {2};
  const Timeline timeline = step.run();
  spans(timeline, 2, 1, 13, 18);
  spans(timeline, 3, 1, 3, 21.5);  // 10 s to 13, 2.5 s to 18, 3.5 s left
  spans(timeline, 4, 1, 21.5, 22.5);
}

TEST_CASE("a last kernel that waits for no exchange may end before it") {
  Beside step(0, 1);
  step.graph.tasks.pop_back();
  const Timeline timeline = step.run();
  spans(timeline, 2, 0, 1, 7);
  CHECK(timeline.makespan.count() == Approx(13));
}

TEST_CASE("a step whose tasks could hold each other up is refused") {
  Beside step(0, 1);
  const auto refused = [&](const std::string& what) {
    try {
      replay(step.graph, step.cluster, Fidelity::bound);
      FAIL("not refused");
    } catch (const CheckError& error) {
      CHECK(std::string(error.what()).find(what) != std::string::npos);
    }
  };
  step.graph.tasks[2].after = {2};
  refused("can only wait for tasks before it");
  step.graph.tasks[2].after = {0};
  std::swap(step.graph.tasks[1], step.graph.tasks[2]);
  step.graph.tasks[2].after = {0};
  step.graph.tasks[3].after = {2};
  refused("right behind the last kernel");
}

TEST_CASE("what a check of the streams would miss is seen") {
  Beside step(0.25, 1);
  Timeline timeline = replay(step.graph, step.cluster, Fidelity::bound);
  const auto broken = [&] {
    CHECK_THROWS_AS(check_step(step.graph, timeline, step.cluster), CheckError);
  };
  timeline.intervals[4].end -= Seconds(1);  // the kernel beside the exchange, rank 0: too short
  broken();
  timeline = replay(step.graph, step.cluster, Fidelity::bound);
  timeline.intervals[6].start -= Seconds(2);  // experts before dispatch has ended
  broken();
}

}  // namespace
}  // namespace moesim
