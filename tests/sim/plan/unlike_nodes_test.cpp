// Nodes that differ: each rank's kernels by its own GPU and pace, exchanges by the weakest of them,
// and a step that waits for the slow ones.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/io/json_reader.h"
#include "sim/plan/weakest_timing.h"
#include "sim/replay/replay.h"
#include "sim/result/measure.h"
#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using moesim::test::StepWorld;

namespace {

Cluster two_nodes(const std::string& groups) {
  ClusterSpec spec = load_cluster_preset("h800-ib");
  read_cluster_keys(read_json_text(R"({"nodes": 2, "node_groups": )" + groups + "}", "groups"),
                    spec);
  return build_cluster(spec);
}

StepWorld world_of(const std::string& groups) {
  StepWorld world({});
  world.cluster = two_nodes(groups);
  return world;
}

}  // namespace

TEST_CASE("every rank's kernels take the time of its own accelerator") {
  const StepGraph mixed =
      world_of(R"([{"nodes": 1}, {"nodes": 1, "accelerator": "h200-sxm"}])").build();
  const StepGraph h800 = world_of(R"([{"nodes": 2}])").build();
  const StepGraph h200 = world_of(R"([{"nodes": 2, "accelerator": "h200-sxm"}])").build();
  REQUIRE(mixed.tasks.size() == h800.tasks.size());
  int kernels = 0, unlike = 0;
  for (std::size_t task = 0; task < mixed.tasks.size(); ++task) {
    if (mixed.tasks[task].exchange >= 0) continue;
    CAPTURE(to_text(mixed.tasks[task].kind));
    ++kernels;
    for (std::size_t rank = 0; rank < 16; ++rank) {
      const Seconds own = (rank < 8 ? h800 : h200).tasks[task].by_rank[rank];
      CHECK(mixed.tasks[task].by_rank[rank] == own);
      unlike += h800.tasks[task].by_rank[rank] != h200.tasks[task].by_rank[rank] ? 1 : 0;
    }
    CHECK(mixed.tasks[task].basis == weaker(h800.tasks[task].basis, h200.tasks[task].basis));
  }
  CHECK(kernels > 24);
  CHECK(unlike > kernels);  // or nothing was compared
}

TEST_CASE("a slow node takes that many times as long for every kernel, and the step waits for it") {
  const StepWorld even = world_of(R"([{"nodes": 2}])");
  const StepWorld slow = world_of(R"([{"nodes": 1}, {"nodes": 1, "slow": 1.5}])");
  const StepGraph usual = even.build(), graph = slow.build();
  for (std::size_t task = 0; task < graph.tasks.size(); ++task)
    for (std::size_t rank = 0; rank < graph.tasks[task].by_rank.size(); ++rank)
      CHECK(graph.tasks[task].by_rank[rank].count() ==
            doctest::Approx((rank < 8 ? 1 : 1.5) * usual.tasks[task].by_rank[rank].count()));

  const Timeline timeline = replay(graph, slow.cluster, Fidelity::bound);
  check_step(graph, timeline, slow.cluster);
  CHECK(timeline.makespan > replay(usual, even.cluster, Fidelity::bound).makespan);
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (graph.tasks[task].kind != TaskKind::dispatch) continue;
    double last = 0;
    for (int rank = 8; rank < 16; ++rank)
      last = std::max(last, timeline.at(task, rank).start.count());
    for (int rank = 0; rank < 8; ++rank) {
      CHECK(timeline.at(task, rank).start.count() < last);
      CHECK(timeline.ready_at(task, rank).count() == doctest::Approx(last));
    }
  }
  Measurement measurement(slow.cluster, slow.model, slow.plan);
  measurement.add(graph, timeline);
  PointResult result;
  measurement.fill(result);
  CHECK(result.straggler >= 8);
}

TEST_CASE("an exchange has the constants and the basis of its weakest GPU") {
  const Cluster alike = two_nodes(R"([{"nodes": 2}])");
  const Cluster mixed = two_nodes(R"([{"nodes": 1}, {"nodes": 1, "accelerator": "a100-sxm"}])");
  const ExchangeName name{"deepep_low_latency", "dispatch", false};
  const ExchangeTiming own = weakest_timing(name, alike, 16);
  const ExchangeTiming other =
      exchange_timing({name.algorithm, name.direction, name.within_node, "a100-sxm"});
  REQUIRE(own.basis != other.basis);
  const ExchangeTiming weakest = weakest_timing(name, mixed, 16);
  CHECK(weakest.basis == weaker(own.basis, other.basis));
  CHECK(weakest.protocol.fixed == std::max(own.protocol.fixed, other.protocol.fixed));
  CHECK(weakest.protocol.nic_efficiency ==
        std::min(own.protocol.nic_efficiency, other.protocol.nic_efficiency));
  CHECK(weakest_timing(name, mixed, 8).basis == own.basis);  // the second node takes no part
}
