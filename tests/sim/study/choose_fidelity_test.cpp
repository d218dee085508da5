// What auto takes, what it says, and that the graph it hands on is the step's own.
#include "sim/study/choose_fidelity.h"

#include <doctest/doctest.h>

#include "sim/study/replay_steps.h"
#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using moesim::test::StepCase;
using moesim::test::StepWorld;

namespace {

struct Chosen {
  StepWorld world;
  std::vector<Batch> batches{world.batch};
  StepSource source{world.model, world.trace, batches, 2};
  PoolState state{{world.cluster, world.plan}, source, 0};
  FidelityResult used;
  ChosenFidelity fidelity;

  explicit Chosen(const StepWorld& of)
      : world(of), fidelity(choose_fidelity(state.inputs(), world.batch, used)) {}
  double makespan(std::optional<StepGraph> graph) const {
    return replay_step(state.inputs(), world.batch, fidelity.fidelity, nullptr, std::move(graph))
        .timeline.makespan.count();
  }
};

// Leaves of a rail so narrow that the paths of a rank hinder each other.
StepWorld narrow_leaves(int nodes, int ranks, int tokens) {
  StepWorld world(
      StepCase{.nodes = nodes, .redundant = ranks, .expert_parallel = ranks, .tokens = tokens});
  ClusterSpec spec = load_cluster_preset("h800-ib");
  spec.options.nodes = nodes;
  spec.options.nodes_per_leaf = 2;
  spec.options.oversubscription = 1.5;
  world.cluster = build_cluster(spec);
  return world;
}

}  // namespace

TEST_CASE("auto takes bound where it is exact, says how exact, and hands on the first step") {
  const Chosen chosen{StepWorld(StepCase{})};
  CHECK(chosen.fidelity.fidelity == Fidelity::bound);
  CHECK(chosen.used.against == "paths");
  CHECK(chosen.used.sampled == 4);  // dispatch and combine of two layers
  CHECK(std::abs(chosen.used.error) <= kStatedError);
  CHECK(chosen.used.words.find("within its stated 1 %") != std::string::npos);
  REQUIRE(chosen.fidelity.first);
  CHECK(chosen.makespan(chosen.fidelity.first) ==
        doctest::Approx(chosen.makespan({})).epsilon(1e-9));
}

TEST_CASE("auto samples pools of more than 64 ranks too") {
  const Chosen chosen{
      StepWorld(StepCase{.nodes = 10, .layers = 2, .redundant = 48, .expert_parallel = 80})};
  CHECK(chosen.used.sampled >= 2);
  CHECK(chosen.used.words.find("off paths on") != std::string::npos);
}

TEST_CASE("auto takes links where groups may meet, paths where both are too far off") {
  const Chosen groups{StepWorld(StepCase{.expert_parallel = 8})};
  CHECK(groups.fidelity.fidelity == Fidelity::links);
  REQUIRE(groups.fidelity.first);
  CHECK(groups.makespan(groups.fidelity.first) ==
        doctest::Approx(groups.makespan({})).epsilon(1e-9));

  const Chosen narrow{narrow_leaves(4, 32, 48)};
  CAPTURE(narrow.used.words);
  CHECK(std::abs(narrow.used.error) > kStatedError);
  CHECK(narrow.fidelity.fidelity == Fidelity::paths);
  CHECK_FALSE(narrow.fidelity.first);  // its exchanges kept no flows, but for two layers
}

TEST_CASE("without a sample auto says that ranks or flows are too many") {
  StepWorld world(StepCase{.layers = 1});
  world.plan.parallelism.ranks = 1024;
  FidelityResult used;
  const RankCosts costs(world.model, world.cluster, {16, 16, 1, 1}, world.plan.precision);
  const StepInputs inputs{world.model, world.cluster, world.plan, world.trace, costs};
  const ChosenFidelity chosen = choose_fidelity(inputs, world.batch, used);
  CHECK_FALSE(chosen.first);
  CHECK(used.sampled == 0);
  CHECK(used.words.find("1024 ranks have too many flows") != std::string::npos);

  const Chosen many{StepWorld(
      StepCase{.nodes = 16, .layers = 1, .redundant = 96, .expert_parallel = 128, .tokens = 64})};
  CHECK(many.used.sampled == 0);
  CAPTURE(many.used.words);
  CHECK(many.used.words.find("an exchange has 1") != std::string::npos);
  CHECK(many.used.words.find("too many flows") != std::string::npos);
  CHECK(many.fidelity.first);
}

TEST_CASE("one layer is sampled where an exchange has many flows") {
  const Chosen chosen{StepWorld(
      StepCase{.nodes = 10, .layers = 2, .redundant = 48, .expert_parallel = 80, .tokens = 64})};
  CAPTURE(chosen.used.words);
  CHECK(chosen.used.sampled == 2);
}

TEST_CASE("a step that choosing built counts as any other, and paths go with the last") {
  Chosen built{StepWorld(StepCase{})};
  built.batches.push_back(built.world.batch);
  const auto metrics_of = [&](std::optional<StepGraph> first) {
    PoolState state({built.world.cluster, built.world.plan}, built.source, 0);
    Measurement measurement(built.world.cluster, built.world.model, state.pool.plan);
    PointResult result;
    replay_steps(state, {Fidelity::bound, std::move(first)}, measurement, result);
    CHECK(state.paths == nullptr);
    measurement.fill(result);
    return result;
  };
  const PointResult with = metrics_of(built.fidelity.first), without = metrics_of({});
  REQUIRE(with.metrics.size() == without.metrics.size());
  for (std::size_t i = 0; i < with.metrics.size(); ++i)
    CHECK(with.metrics[i].metric.value == doctest::Approx(without.metrics[i].metric.value));
  CHECK(with.checks.size() == without.checks.size());
}
