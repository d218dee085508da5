// Two exchanges on two nodes of two ranks, replayed; what each link carried follows from the flows.
#include "sim/result/link_figures.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;
using doctest::Approx;

// Expert e lies on rank e and draws 1, 1, 1 and 5 copies: 2.5 times the mean for expert 3. All
// others send to it through its NIC, and rank 2, of its node, over NVLink.
struct HotExpert {
  Cluster cluster = rails_of(2, 2);
  ShardingPlan plan;
  StepGraph graph;
  PointResult result;
  std::string csv;

  // `slowed`: the link of that name at a tenth of its bandwidth in the steps, as after a fault; the
  // figures are begun with the healthy cluster.
  explicit HotExpert(const std::string& slowed = "") {
    const Cluster healthy = cluster;
    for (Link& link : cluster.fabric.links)
      if (link.name == slowed) link.bandwidth = link.bandwidth / 10;
    plan.parallelism = {4, 4, 1};
    Placement placement;
    for (int rank = 0; rank < 4; ++rank) {
      placement.replica_of.push_back(static_cast<LogicalExpert>(rank));
      placement.rank_of.push_back(Rank{rank});
    }
    plan.placement = {placement};
    const std::vector<Flow> there{flow_of(0, 3, 30e6), flow_of(1, 3, 20e6), flow_of(2, 3, 8e6),
                                  flow_of(3, 0, 10e6)};
    std::vector<Flow> back;
    for (const Flow& flow : there) back.push_back({flow.destination, flow.source, flow.bytes});
    graph.ranks = 4;
    Exchange dispatch = exchange_of(there, cluster);
    dispatch.bytes_per_copy = 1;
    add_exchange(graph, TaskKind::dispatch, dispatch);
    dispatch = exchange_of(back, cluster);
    dispatch.bytes_per_copy = 1;
    add_exchange(graph, TaskKind::combine, dispatch);
    graph.loads.push_back(load_of({1, 1, 1, 5}, {1, 1, 1, 5}));
    LinkFigures figures(healthy, plan);
    const Timeline timeline = replay(graph, cluster, Fidelity::bound);
    figures.add(graph, timeline, cluster);
    figures.add(graph, timeline, cluster);
    figures.fill(result);
    csv = figures.csv();
  }
};

TEST_CASE("each exchange names its longest busy link, the rank and the expert behind it") {
  const HotExpert step;
  REQUIRE(step.result.bottlenecks.size() == 2);
  const BottleneckResult& dispatch = step.result.bottlenecks[0];
  CHECK(dispatch.kind == "dispatch");
  CHECK(dispatch.words == "ingress of rank 3: expert 3 draws 2.5x the mean");
  CHECK(dispatch.rank == 3);
  CHECK(dispatch.expert == 3);
  CHECK(dispatch.ratio == Approx(2.5));
  CHECK(dispatch.bytes == 50e6);
  CHECK(dispatch.busy == Approx(50e6 / 50e9));
  CHECK(dispatch.finish == Approx(50e6 / 50e9));
  CHECK(dispatch.utilisation == Approx(1));  // the exchange is as long as this link is busy
  CHECK(step.result.bottlenecks[1].words == "egress of rank 3: expert 3 draws 2.5x the mean");
  CHECK(worst_bottleneck(step.result) == &step.result.bottlenecks[0]);
}

TEST_CASE("a link that a fault slowed is measured by what it then could carry") {
  const HotExpert step("nic 0 out");
  const BottleneckResult& dispatch = step.result.bottlenecks[0];
  CHECK(dispatch.link == "nic 0 out");
  CHECK(dispatch.busy == Approx(30e6 / 5e9));
  CHECK(dispatch.finish == Approx(30e6 / 5e9));
  CHECK(dispatch.utilisation == Approx(1));
}

TEST_CASE("links alike are drawn by the busiest of them, exchange by exchange") {
  const HotExpert step;
  const auto& uses = step.result.link_use;
  const auto into = std::find_if(
      uses.begin(), uses.end(), [](const LinkUse& use) { return use.name == "NIC in, ranks 3-3"; });
  REQUIRE(into != uses.end());
  REQUIRE(into->utilisation.size() == 2);
  CHECK(into->utilisation[0] == Approx(1));
  CHECK(into->utilisation[1] == Approx(10e6 / 50e6));  // what came from there goes back
}

TEST_CASE("the table of links has a row for each link an exchange loads") {
  const HotExpert step;
  std::size_t loaded = 0;
  for (const Exchange& exchange : step.graph.exchanges)
    loaded += static_cast<std::size_t>(std::count_if(exchange.link_bytes.begin(),
                                                     exchange.link_bytes.end(),
                                                     [](Bytes bytes) { return bytes.value > 0; }));
  CHECK(static_cast<std::size_t>(std::count(step.csv.begin(), step.csv.end(), '\n')) == loaded + 1);
}

}  // namespace
}  // namespace moesim
