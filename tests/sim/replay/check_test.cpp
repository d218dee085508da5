// Every law of check_step holds on a replayed step, and breaking it is seen.
#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "sim/replay/replay.h"
#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;

// Two nodes of two GPUs: attention, dispatch, experts, combine, with the flows kept.
struct Step {
  Cluster cluster = rails_of(2, 2);
  StepGraph graph;
  Timeline timeline;

  Step() {
    graph.ranks = 4;
    const std::vector<Flow> there{flow_of(0, 1, 40e6), flow_of(0, 3, 10e6), flow_of(1, 3, 20e6),
                                  flow_of(2, 0, 30e6)};
    std::vector<Flow> back;
    for (const Flow& flow : there) back.push_back({flow.destination, flow.source, flow.bytes});
    add_compute(graph, TaskKind::attention, {1e-3, 2e-3, 1e-3, 1e-3});
    add_exchange(graph, TaskKind::dispatch, exchange_of(there, cluster));
    add_compute(graph, TaskKind::expert_ffn, {1e-3, 1e-3, 2e-3, 1e-3});
    add_exchange(graph, TaskKind::combine, exchange_of(back, cluster));
    graph.loads.push_back(load_of({3, 1}, {1, 1, 2, 0}));
    graph.routed_copies = 4;
    timeline = replay(graph, cluster, Fidelity::bound);
  }

  Interval& at(std::size_t task, std::size_t rank) { return timeline.intervals[task * 4 + rank]; }

  std::string broken_law() const {
    try {
      check_step(graph, timeline, cluster);
    } catch (const CheckError& error) {
      return error.what();
    }
    return "none";
  }
};

void names(const std::string& message, const std::string& part) {
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

TEST_CASE("a replayed step keeps every law, at both fidelities") {
  Step step;
  for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flows}) {
    step.timeline = replay(step.graph, step.cluster, fidelity);
    CHECK(step.broken_law() == "none");
  }
  const CheckReport report = check_step(step.graph, step.timeline, step.cluster);
  REQUIRE(report.passed.size() == 5);
  CHECK(report.passed[0].starts_with("2 exchanges: 191 MiB"));  // 2 x 100 MB
  CHECK(report.passed[1].starts_with("4 token copies in 1 MoE layers"));
}

TEST_CASE("check: bytes sent are bytes received") {
  Step step;
  step.graph.exchanges[0].received[1] += Bytes(1);
  names(step.broken_law(), "B sent but");
}

TEST_CASE("check: a GPU's cables carry what it sends and receives") {
  Step step;
  step.graph.exchanges[0].received[1] += Bytes(1e6);  // the sums agree, the ranks do not
  step.graph.exchanges[0].received[3] -= Bytes(1e6);
  names(step.broken_law(), "gpu 1: links carry");
}

TEST_CASE("check: a switch passes on all it gets") {
  Step step;
  step.graph.exchanges[0].flows.clear();
  std::vector<LinkId> path;
  step.cluster.fabric.route(Rank{0}, Rank{3}, 0, path);
  step.graph.exchanges[0].link_bytes[index(path[1])] -= Bytes(1e6);  // leaf to spine
  names(step.broken_law(), "leaf 0: links carry");
}

TEST_CASE("check: flows add up to what each rank sends") {
  Step step;
  step.graph.exchanges[0].flows[0].bytes += Bytes(1e6);
  names(step.broken_law(), "flows of rank 0 carry");
}

TEST_CASE("check: flows load the links of their routes") {
  Step step;
  // Rank 0 sends as much as before, but to another rank.
  std::swap(step.graph.exchanges[0].flows[0].bytes, step.graph.exchanges[0].flows[1].bytes);
  names(step.broken_law(), "on link \"");
}

TEST_CASE("check: layers hold the token copies that the routing implies") {
  Step step;
  step.graph.routed_copies = 5;
  names(step.broken_law(), "4 token copies, the routing implies 5");
}

TEST_CASE("check: experts and ranks of a layer get the same token copies") {
  Step step;
  step.graph.loads[0].by_rank[3] = 1;
  names(step.broken_law(), "experts get 4 token copies, ranks 5");
}

TEST_CASE("check: dispatch brings each rank the token copies that it computes") {
  Step step;
  step.graph.loads[0] = load_of({6, 4}, {3, 4, 0, 3});
  step.graph.routed_copies = 10;
  for (Exchange& exchange : step.graph.exchanges) exchange.bytes_per_copy = 10e6;
  CHECK(step.broken_law() == "none");
  step.graph.loads[0].by_rank = {4, 3, 0, 3};
  names(step.broken_law(), "dispatch, layer 0): rank 0 computes 4 token copies");
  step.graph.exchanges[0].bytes_per_copy = 0;
  names(step.broken_law(), "combine, layer 0): rank 0 computes 4 token copies");
  step.graph.loads[0].by_rank = {3, 4, 0, 3};
  step.graph.exchanges[1].kept[2] = Bytes(10e6);
  names(step.broken_law(), "combine, layer 0): rank 2 computes 0 token copies");
}

TEST_CASE("check: tasks of a rank follow one another") {
  Step step;
  step.at(2, 0).start -= Seconds(1e-4);
  names(step.broken_law(), "the task before ended");
}

TEST_CASE("check: a task lasts as long as its cost") {
  Step step;
  step.graph.tasks[0].by_rank[3] = Seconds(2e-3);
  names(step.broken_law(), "its cost is");
}

TEST_CASE("check: an exchange is ready when the last rank has started") {
  Step step;
  step.timeline.ready[2] = Seconds(1e-3);
  names(step.broken_law(), "rank 2 ready at 0.001 s, but the last rank of its group started");
}

TEST_CASE("check: no rank ends an exchange before all have started it") {
  Step step;
  const Seconds early = step.timeline.ready_at(1, 2) - Seconds(5e-4);
  const Seconds shift = step.at(1, 2).end - early;
  step.at(1, 2).end = early;
  step.at(2, 2).start -= shift;
  step.at(2, 2).end -= shift;
  step.at(3, 2).start -= shift;
  names(step.broken_law(), "before all of its group had started");
}

// Ranks 0 and 1 exchange 50 ms before ranks 2 and 3.
struct TwoGroups : Step {
  TwoGroups() {
    graph = {};
    graph.ranks = 4;
    add_compute(graph, TaskKind::attention, {1e-3, 2e-3, 52e-3, 51e-3});
    add_exchange(graph, TaskKind::dispatch,
                 exchange_of({flow_of(0, 1, 40e6), flow_of(3, 2, 40e6)}, cluster));
    graph.exchanges[0].group_ranks = 2;
    timeline = replay(graph, cluster, Fidelity::bound);
  }
};

TEST_CASE("check: groups of ranks are each ready when their own last rank has started") {
  TwoGroups step;
  CHECK(step.broken_law() == "none");
  step.timeline.ready[0] = Seconds(52e-3);
  names(step.broken_law(), "before all of its group had started");
  step.timeline.ready[0] = Seconds(1e-3);
  names(step.broken_law(), "but the last rank of its group started at 0.002");
}

TEST_CASE("check: a link has only its own group's time to carry the group's bytes") {
  TwoGroups step;
  step.graph.exchanges[0].port_bound = Seconds(0);
  // 40 MB at a hundredth of 400 GB/s take 10 ms: they fit the pool's 50 ms, not the group's.
  for (Link& link : step.cluster.fabric.links) link.bandwidth = link.bandwidth / 100;
  names(step.broken_law(), "but link \"");
}

TEST_CASE("check: the makespan is the end of the last task") {
  Step step;
  step.timeline.makespan += Seconds(1e-3);
  names(step.broken_law(), "makespan");
}

TEST_CASE("check: no exchange beats its port bound") {
  Step step;
  step.graph.exchanges[1].port_bound = Seconds(1);
  names(step.broken_law(), "its busiest port needs");
}

TEST_CASE("check: no exchange beats its bisection bound") {
  Step step;
  step.graph.exchanges[1].bisection_bound = Seconds(1);
  names(step.broken_law(), "the bisection needs");
}

TEST_CASE("check: no link carries bytes faster than its bandwidth") {
  Step step;
  for (Link& link : step.cluster.fabric.links) link.bandwidth = link.bandwidth / 10;
  step.graph.exchanges[0].port_bound = step.graph.exchanges[0].bisection_bound = Seconds(0);
  names(step.broken_law(), "but link \"");
}

TEST_CASE("check: a timeline of another step is refused") {
  Step step;
  step.timeline.ready.pop_back();
  names(step.broken_law(), "is not of this step");
}

TEST_CASE("check: times and bytes that are no numbers are refused") {
  Step step;
  step.graph.tasks[0].by_rank[0] = Seconds(std::nan(""));
  names(step.broken_law(), "finite");
  Step other;
  other.graph.exchanges[0].link_bytes[0] = Bytes(-1);
  names(other.broken_law(), "not negative");
}

}  // namespace
}  // namespace moesim
