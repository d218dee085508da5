// Experts that wait in host memory: what a step copies of them, counted a second way.
#include <doctest/doctest.h>

#include <set>

#include "sim/memory/rank_memory.h"
#include "sim/replay/replay.h"
#include "tests/sim/plan/step_fixture.h"

namespace moesim {
namespace {

constexpr double kExpertBytes = 48e6;

// Every second slot waits in host memory.
test::StepWorld half_in_host() {
  test::StepWorld world({.redundant = 0, .expert_parallel = 8});
  world.plan.resident_experts = 2;
  for (Placement& placement : world.plan.placement)
    for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot)
      placement.in_host.push_back(slot % 2);
  return world;
}

StepGraph build(const test::StepWorld& world) {
  const RankCosts costs(world.model, world.cluster, world.plan.parallelism, world.plan.precision);
  StepInputs inputs{world.model, world.cluster, world.plan, world.trace, costs};
  inputs.expert_bytes = Bytes(kExpertBytes);
  return build_step(inputs, world.batch);
}

// Experts that the tokens of an EP group go to in a trace layer.
std::set<int> experts_of(const test::StepWorld& world, std::size_t group, std::size_t layer) {
  const auto of_group = static_cast<std::size_t>(world.plan.parallelism.expert);
  std::set<int> experts;
  for (std::size_t rank = group * of_group; rank < (group + 1) * of_group; ++rank)
    for (const std::uint32_t row : world.batch.rows[rank])
      for (const std::uint16_t expert : world.trace.choice(row, layer))
        if (expert != kNotRouted) experts.insert(expert);
  return experts;
}

TEST_CASE("a rank copies each expert in host memory once that a token of its group goes to") {
  const test::StepWorld world = half_in_host();
  const StepGraph graph = build(world);
  const double pcie = world.cluster.accelerator.pcie.value;
  std::size_t moe_layer = 0;
  double all = 0;
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (graph.tasks[task].kind != TaskKind::expert_fetch) continue;
    CHECK(graph.tasks[task - 1].kind == TaskKind::dispatch);
    CHECK(graph.tasks[task + 1].kind == TaskKind::expert_ffn);
    const std::size_t layer = moe_layer++ % world.plan.placement.size();
    const Placement& placement = world.plan.placement[layer];
    for (std::size_t rank = 0; rank < 16; ++rank) {
      const std::set<int> used = experts_of(world, rank / 8, layer);
      int fetched = 0;
      for (std::size_t slot = 4 * (rank % 8); slot < 4 * (rank % 8) + 4; ++slot)
        if (slot % 2 == 1 && used.count(static_cast<int>(placement.replica_of[slot])) > 0)
          ++fetched;
      CHECK(graph.tasks[task].by_rank[rank].count() ==
            doctest::Approx(fetched * kExpertBytes / pcie));
      all += fetched * kExpertBytes;
    }
  }
  CHECK(moe_layer == world.model.moe_layers().size());
  double counted = 0;
  for (const MoeLayerLoad& load : graph.loads) counted += load.fetched.value;
  CHECK(counted == doctest::Approx(all));
  CHECK(all > 0);
  check_step(graph, replay(graph, world.cluster, Fidelity::bound), world.cluster);
}

TEST_CASE("experts in host memory take no room on the GPU but one slot to land in") {
  const test::StepWorld world = half_in_host();
  ShardingPlan all = world.plan;
  all.resident_experts = 0;
  for (Placement& placement : all.placement) placement.in_host.clear();
  const auto with = count_slots(world.model, world.plan), without = count_slots(world.model, all);
  for (std::size_t rank = 0; rank < with.size(); ++rank)
    CHECK(2 * with[rank].first == without[rank].first);
  const std::vector<GpuMemory> gpus = gpu_memories(world.cluster);
  const auto routed = [&](const ShardingPlan& plan) {
    return build_ledger(world.model, gpus, plan, {world.batch}, Bytes(0))
        .ranks[0]
        .by_kind[static_cast<std::size_t>(MemoryKind::routed_experts)]
        .value;
  };
  const double expert = expert_bytes(world.model, all).value;
  CHECK(routed(world.plan) == doctest::Approx(routed(all) / 2 + expert));
}

TEST_CASE("more experts on the GPU than a rank holds are refused") {
  test::StepWorld world = half_in_host();
  world.plan.resident_experts = 5;
  CHECK_THROWS_WITH_AS(check_plan(world.plan, world.model),
                       doctest::Contains("a rank holds 4 experts of a layer"), InputError);
}

}  // namespace
}  // namespace moesim
