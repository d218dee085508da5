// The step graph: its tasks in order, what it conserves, and that threads change nothing.
#include "sim/plan/step_graph.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using namespace moesim::test;

namespace {

std::vector<TaskKind> kinds_of_layer(const StepGraph& graph, int layer) {
  std::vector<TaskKind> kinds;
  for (const Task& task : graph.tasks)
    if (task.layer == layer) kinds.push_back(task.kind);
  return kinds;
}

double total(const std::vector<Bytes>& bytes) {
  double sum = 0;
  for (const Bytes b : bytes) sum += b.value;
  return sum;
}

const Exchange& first_of(const StepGraph& graph, TaskKind kind) {
  for (const Task& task : graph.tasks)
    if (task.kind == kind) return graph.exchanges[static_cast<std::size_t>(task.exchange)];
  throw CheckError("no such task");
}

}  // namespace

TEST_CASE("a layer runs attention, router, dispatch, experts, combine; the step ends in the head") {
  const StepWorld world(StepCase{});
  const StepGraph graph = world.build();
  using enum TaskKind;
  CHECK(graph.tasks.front().kind == embedding);
  CHECK(graph.tasks.back().kind == head);
  for (int layer = 0; layer < 24; ++layer)
    CHECK(kinds_of_layer(graph, layer) ==
          std::vector<TaskKind>{attention, router, dispatch, expert_ffn, combine});
  for (const Task& task : graph.tasks) {
    CHECK(is_exchange(task.kind) == (task.exchange >= 0));
    CHECK(task.by_rank.size() == (is_exchange(task.kind) ? 0U : 16U));
  }
  CHECK(graph.exchanges.size() == 48);
}

TEST_CASE("tensor parallelism adds a reduce-scatter and an all-gather to every layer") {
  const StepWorld world(StepCase{.tensor = 2});
  const StepGraph graph = world.build();
  using enum TaskKind;
  CHECK(kinds_of_layer(graph, 3) == std::vector<TaskKind>{attention, tensor_reduce, router,
                                                          dispatch, expert_ffn, combine,
                                                          tensor_gather});
  // Rank 0 and 1 share 24 tokens, 12 each: half of 24 rows of 2 h bytes leaves either.
  const double half = 24.0 / 2 * 2 * static_cast<double>(world.model.hidden);
  for (const TaskKind kind : {tensor_reduce, tensor_gather}) {
    CHECK(first_of(graph, kind).sent[0] == Bytes(half));
    CHECK(first_of(graph, kind).received[1] == Bytes(half));
    CHECK(first_of(graph, kind).group_ranks == 2);
  }
  CHECK(first_of(graph, TaskKind::dispatch).group_ranks == 16);
}

TEST_CASE("an EP group of one rank exchanges nothing and computes every copy itself") {
  const StepWorld world(StepCase{.redundant = 0, .expert_parallel = 1});
  const StepGraph graph = world.build();
  using enum TaskKind;
  CHECK(graph.exchanges.empty());
  CHECK(kinds_of_layer(graph, 3) == std::vector<TaskKind>{attention, router, expert_ffn});
  std::int64_t computed = 0;
  for (const MoeLayerLoad& load : graph.loads)
    computed += std::accumulate(load.by_rank.begin(), load.by_rank.end(), std::int64_t{0});
  CHECK(computed == graph.routed_copies);
}

TEST_CASE("bytes sent are bytes received are bytes the routing implies") {
  const StepWorld world(StepCase{.nodes = 4, .tensor = 2, .seed = 7});
  const StepGraph graph = world.build();
  double dispatched = 0;
  for (const Task& task : graph.tasks) {
    if (!is_exchange(task.kind)) continue;
    const Exchange& exchange = graph.exchanges[static_cast<std::size_t>(task.exchange)];
    CHECK(total(exchange.sent) == total(exchange.received));
    if (task.kind == TaskKind::dispatch) dispatched += total(exchange.sent) + total(exchange.kept);
  }
  const double row = 16 + 2 * static_cast<double>(world.model.hidden);
  CHECK(dispatched == static_cast<double>(graph.routed_copies) * row);
  std::int64_t computed = 0, chosen = 0;
  for (const MoeLayerLoad& load : graph.loads) {
    computed += std::accumulate(load.by_rank.begin(), load.by_rank.end(), std::int64_t{0});
    chosen += std::accumulate(load.by_expert.begin(), load.by_expert.end(), std::int64_t{0});
  }
  CHECK(computed == graph.routed_copies);
  CHECK(chosen == graph.routed_copies);
  // Combine returns each copy along the way it came.
  CHECK(total(first_of(graph, TaskKind::combine).sent) * row ==
        doctest::Approx(total(first_of(graph, TaskKind::dispatch).sent) * (row - 16)));
}

TEST_CASE("model layers beyond the trace replay its layers in turn") {
  const StepWorld world(StepCase{.layers = 5});
  const StepGraph graph = world.build();
  REQUIRE(graph.loads.size() == 24);
  for (std::size_t layer = 0; layer < 24; ++layer) {
    CHECK(graph.loads[layer].layer == static_cast<int>(layer));
    CHECK(graph.loads[layer].trace_layer == static_cast<int>(layer % 5));
    CHECK(graph.loads[layer].by_expert == graph.loads[layer % 5].by_expert);
    CHECK(graph.exchanges[2 * layer].link_bytes == graph.exchanges[2 * (layer % 5)].link_bytes);
  }
}

TEST_CASE("any number of threads builds the same step") {
  const StepWorld world(StepCase{.layers = 11, .seed = 9});
  const StepGraph one = world.build(1), many = world.build(5);
  REQUIRE(one.exchanges.size() == many.exchanges.size());
  CHECK(one.routed_copies == many.routed_copies);
  for (std::size_t i = 0; i < one.exchanges.size(); ++i) {
    CHECK(one.exchanges[i].link_bytes == many.exchanges[i].link_bytes);
    CHECK(one.exchanges[i].transfer == many.exchanges[i].transfer);
    CHECK(one.exchanges[i].busiest == many.exchanges[i].busiest);
  }
  for (std::size_t i = 0; i < one.tasks.size(); ++i)
    CHECK(one.tasks[i].by_rank == many.tasks[i].by_rank);
}

TEST_CASE("a trace of another model is refused") {
  StepWorld world(StepCase{});
  world.trace.header.experts = 64;
  CHECK_THROWS_WITH_AS(world.build(), doctest::Contains("experts 64"), InputError);
  world.trace.header.experts = 32;
  world.plan.dispatch = "deepep_low_latncy";
  CHECK_THROWS_WITH_AS(world.build(), doctest::Contains("deepep_low_latency"), InputError);
}

TEST_CASE(
    "experts split over a tensor-parallel group: all its tokens on each rank, two allreduces a "
    "layer") {
  StepWorld world(StepCase{.redundant = 0, .expert_parallel = 1, .tensor = 8});
  world.plan.parallelism.expert_tensor = world.plan.parallelism.feed_forward_tensor = 8;
  const StepGraph graph = world.build();
  using enum TaskKind;
  CHECK(kinds_of_layer(graph, 3) ==
        std::vector<TaskKind>{attention, tensor_reduce, router, expert_ffn, tensor_reduce});
  const KernelCosts costs(world.model, world.cluster.accelerator, world.plan.parallelism,
                          world.plan.precision);
  // Rank 9 is in the second group, whose tokens go through every expert, an eighth of each.
  std::vector<std::uint32_t> copies(32);
  for (const std::uint32_t row : world.batch.rows[1])
    for (std::size_t k = 0; k < 4; ++k) {
      const std::uint16_t expert =
          world.trace.experts[(row * world.trace.moe_layers() + 3) * 4 + k];
      if (expert != kNotRouted) ++copies[expert];
    }
  for (const Task& task : graph.tasks) {
    if (task.layer != 3 || task.kind != expert_ffn) continue;
    CHECK(task.by_rank[9].count() ==
          doctest::Approx(
              costs.expert_ffn(copies, costs.layout_after(world.plan.dispatch)).time.count()));
  }
  KernelCosts whole(world.model, world.cluster.accelerator, {16, 1, 8}, world.plan.precision);
  CHECK(costs.expert_ffn(copies).time < whole.expert_ffn(copies).time / 2);
}
