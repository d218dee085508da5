// A lost rank's experts and requests, against the placement it had and a recount of what is left.
#include "sim/plan/lost_rank.h"

#include <doctest/doctest.h>

#include <numeric>
#include <set>

#include "sim/memory/rank_memory.h"
#include "sim/plan/pool_faults.h"
#include "sim/replay/replay.h"
#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using moesim::test::StepCase;
using moesim::test::StepWorld;

namespace {

// Experts of one rank of the pool in one layer; an expert held twice is there twice.
std::multiset<LogicalExpert> held_by(const ShardingPlan& plan, std::size_t layer, int rank) {
  const int ranks = plan.parallelism.expert;
  const Placement& placement = plan.placement_of(layer, static_cast<std::size_t>(rank / ranks));
  std::multiset<LogicalExpert> held;
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot)
    if (placement.rank_of[slot] == Rank{rank % ranks} && placement.replica_of[slot] != kNoExpert)
      held.insert(placement.replica_of[slot]);
  return held;
}

const std::vector<StepCase>& cases() {
  static const std::vector<StepCase> all{
      StepCase{},                                              // one EP group, half of it twice
      StepCase{.redundant = 0, .seed = 2},                     // no replica anywhere
      StepCase{.nodes = 4, .expert_parallel = 16, .seed = 3},  // two EP groups
      StepCase{.nodes = 4, .expert_parallel = 8, .tensor = 2, .seed = 4}};
  return all;
}

Fault loss_of(int rank) { return {FaultKind::rank_lost, {}, "", Rank{rank}}; }

}  // namespace

TEST_CASE("every expert of a lost rank is held by another of its group, and other groups stay") {
  for (const StepCase& c : cases()) {
    StepWorld world(c);
    const ShardingPlan before = world.plan;
    ShardingPlan after = before;
    const int lost = c.expert_parallel - 3;
    const auto loads = lose_rank(after, world.model, Rank{lost});
    std::vector<std::int64_t> gained(static_cast<std::size_t>(world.plan.parallelism.ranks));
    for (std::size_t layer = 0; layer < before.placement.size(); ++layer) {
      std::set<LogicalExpert> held;
      for (int rank = 0; rank < world.plan.parallelism.ranks; ++rank) {
        const auto had = held_by(before, layer, rank), has = held_by(after, layer, rank);
        if (rank == lost) {
          CHECK(has.empty());
          continue;
        }
        CHECK(std::includes(has.begin(), has.end(), had.begin(), had.end()));
        if (rank >= c.expert_parallel) CHECK(has == had);
        if (rank < c.expert_parallel) held.insert(has.begin(), has.end());
        gained[static_cast<std::size_t>(rank)] +=
            static_cast<std::int64_t>(has.size() - had.size()) *
            layers_replaying(world.model, before, layer);
        // No expert is loaded that another rank of the group held already.
        for (const LogicalExpert expert : has) {
          if (had.count(expert) > 0) continue;
          int others = 0;
          for (int other = 0; other < c.expert_parallel; ++other)
            others += other != lost && held_by(before, layer, other).count(expert) > 0 ? 1 : 0;
          CHECK(others == 0);
        }
      }
      CHECK(held.size() == static_cast<std::size_t>(c.experts));
    }
    CHECK(gained == loads);
  }
}

TEST_CASE("moved experts are spread: no rank loads two more than another") {
  StepWorld world(StepCase{.layers = 15, .redundant = 0});  // 2 experts a layer over 15 ranks
  const auto loads = lose_rank(world.plan, world.model, Rank{5});
  // 15 trace layers x 2 experts = 2 a rank; gpt-oss-20b's 24 layers replay some twice.
  const auto [least, most] = [&] {
    std::vector<std::int64_t> of_survivors = loads;
    of_survivors.erase(of_survivors.begin() + 5);
    return std::make_pair(*std::min_element(of_survivors.begin(), of_survivors.end()),
                          *std::max_element(of_survivors.begin(), of_survivors.end()));
  }();
  CHECK(loads[5] == 0);
  CHECK(most - least <= 2);
  CHECK(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}) == 24 * 2);
}

TEST_CASE("the requests of a lost rank go to the others one by one, rows and all") {
  for (const StepCase& c : cases()) {
    StepWorld world(c);
    const int lost = 5;
    lose_rank(world.plan, world.model, Rank{lost});
    const Batch moved = move_requests(world.batch, world.plan);
    const auto group = static_cast<std::size_t>(lost / c.tensor);
    CHECK(moved.by_rank[group].empty());
    CHECK(moved.rows[group].empty());
    CHECK(moved.tokens() == world.batch.tokens());
    std::multiset<std::uint32_t> before, after;
    std::size_t least = SIZE_MAX, most = 0;
    for (std::size_t g = 0; g < moved.rows.size(); ++g) {
      before.insert(world.batch.rows[g].begin(), world.batch.rows[g].end());
      after.insert(moved.rows[g].begin(), moved.rows[g].end());
      CHECK(moved.rows[g].size() == moved.by_rank[g].size());  // one new token a decode entry
      if (g == group) continue;
      least = std::min(least, moved.rows[g].size() - world.batch.rows[g].size());
      most = std::max(most, moved.rows[g].size() - world.batch.rows[g].size());
    }
    CHECK(before == after);
    CHECK(most - least <= 1);
  }
}

TEST_CASE("a step without the lost rank keeps every law, and nothing reaches that rank") {
  for (const StepCase& c : cases()) {
    StepWorld world(c);
    world.plan.dispatch = world.plan.combine = "nccl_pairwise";
    const Pool pool = apply_fault({world.cluster, world.plan}, loss_of(5), world.model).pool;
    world.cluster = pool.cluster;
    world.plan = pool.plan;
    world.batch = move_requests(world.batch, world.plan);
    const StepGraph graph = world.build(2, true);
    for (const Exchange& exchange : graph.exchanges) {
      CHECK(exchange.sent[5].value == 0);
      CHECK(exchange.received[5].value == 0);
    }
    for (const MoeLayerLoad& load : graph.loads) CHECK(load.by_rank[5] == 0);
    for (const Task& task : graph.tasks)
      if (task.exchange < 0 && c.tensor == 1) CHECK(task.by_rank[5].count() == 0);
    const Timeline timeline = replay(graph, world.cluster, Fidelity::bound);
    CHECK_NOTHROW(check_step(graph, timeline, world.cluster));
  }
}

TEST_CASE("recovery is the most that a rank reloads over its host link") {
  StepWorld world(StepCase{.redundant = 0});
  const FaultEffect effect = apply_fault({world.cluster, world.plan}, loss_of(5), world.model);
  ShardingPlan plan = world.plan;
  const auto loads = lose_rank(plan, world.model, Rank{5});
  const double expert = expert_bytes(world.model, world.plan).value;
  const auto most = static_cast<double>(*std::max_element(loads.begin(), loads.end()));
  CHECK(effect.recovery.count() == doctest::Approx(most * expert / 64e9));  // PCIe Gen5 x16
  CHECK(effect.reloaded.value == doctest::Approx(24 * 2 * expert));         // 2 experts a layer

  // Where every expert has a second replica on another rank nothing is reloaded.
  StepWorld twice(StepCase{.redundant = 32});
  CHECK(apply_fault({twice.cluster, twice.plan}, loss_of(5), twice.model).recovery.count() == 0);
}

TEST_CASE("a loss that nobody can take up is refused with what could") {
  StepWorld world({});
  const auto refusal = [&](const Pool& pool, int rank) -> std::string {
    try {
      apply_fault(pool, loss_of(rank), world.model);
    } catch (const InputError& error) {
      return error.what();
    }
    return "went on";
  };
  Pool pool{world.cluster, world.plan};
  for (const char* forwards : {"deepep_normal", "allgather_reducescatter"}) {
    pool.plan.dispatch = pool.plan.combine = forwards;
    const std::string text = refusal(pool, 5);
    CHECK(text.find(std::string(forwards) + " moves rows to or over rank 5") != std::string::npos);
    CHECK(text.find("deepep_low_latency") != std::string::npos);
    CHECK(text.find("deepep_normal,") == std::string::npos);
  }
  pool.plan = world.plan;
  pool = apply_fault(pool, loss_of(5), world.model).pool;
  CHECK(refusal(pool, 5) == "rank 5 is lost already");
  CHECK(refusal(pool, 6) == "went on");
  pool.plan.parallelism.tensor = 16;
  pool.plan.lost.clear();
  CHECK(refusal(pool, 5).find("no rank is left to take requests") != std::string::npos);
  pool.plan = world.plan;
  pool.plan.redundant_experts = 0;
  pool.plan.placement = test::make_placement(StepCase{.redundant = 0});
  pool.cluster.accelerator.pcie = BytesPerSecond(0);
  CHECK(refusal(pool, 6).find("states no host link (key \"pcie\")") != std::string::npos);
}
