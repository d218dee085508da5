// When faults take effect, what a lost rank costs, and what the result says, against steps replayed
// one by one.
#include "sim/study/faulted_steps.h"

#include <doctest/doctest.h>

#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using moesim::test::StepCase;
using moesim::test::StepWorld;

namespace {

struct Run {
  StepWorld world;
  std::vector<Batch> batches;
  StepSource source;
  PoolState healthy;
  Scenario scenario;

  explicit Run(int steps, const StepCase& c = {})
      : world(c),
        batches(static_cast<std::size_t>(steps), world.batch),
        source{world.model, world.trace, batches, 1},
        healthy({world.cluster, world.plan}, source, 0) {}

  double step_time(const Pool& pool) const {
    const PoolState state(pool, source, 0);
    return replay_step(state.inputs(), state.batches.front(), {}).timeline.makespan.count();
  }
  double step_time() const { return step_time(healthy.pool); }
  double tokens() const { return static_cast<double>(batches.front().tokens()); }

  PointResult run(const std::vector<Fault>& faults) {
    scenario.faults = in_order(faults);
    PointResult result;
    Measurement measurement(healthy.pool.cluster, world.model, healthy.pool.plan);
    replay_faulted_steps(healthy, scenario, {}, measurement, result);
    measurement.fill(result);
    return result;
  }
};

Fault slow_gpu(double at, double factor = 3) {
  return {FaultKind::slow_gpu, Seconds(at), "", Rank{3}, factor};
}
Fault rank_lost(double at, int rank = 5) {
  return {FaultKind::rank_lost, Seconds(at), "", Rank{rank}};
}

}  // namespace

TEST_CASE("a fault takes effect at the first step that begins at its time or later") {
  Run run(6);
  const double step = run.step_time();
  const Fault fault = slow_gpu(1.5 * step);  // during the second step
  const double slow = run.step_time(apply_fault(run.healthy.pool, fault, run.world.model).pool);
  CHECK(slow > 1.2 * step);
  const PointResult result = run.run({fault});
  REQUIRE(result.faults.size() == 1);
  const FaultResult& found = result.faults[0];
  CHECK(found.fault == "slow_gpu rank 3 x 3");
  CHECK(found.step == 2);
  CHECK(found.before.steps == 2);
  CHECK(found.after.steps == 4);
  CHECK(found.before.step_time == doctest::Approx(step));
  CHECK(found.after.step_time == doctest::Approx(slow));
  CHECK(found.before.throughput == doctest::Approx(run.tokens() / step));
  CHECK(found.remaining == doctest::Approx(step / slow));
  CHECK(found.recovery == 0);
  CHECK(result.steps == 6);
  CHECK(find_metric(result, "step_time")->value == doctest::Approx((2 * step + 4 * slow) / 6));
  CHECK(run.run({slow_gpu((1 - 1e-6) * step)}).faults[0].step == 1);
  CHECK(run.run({slow_gpu((1 + 1e-6) * step)}).faults[0].step == 2);
}

TEST_CASE("from the start there is nothing before: a healthy step is replayed for comparison") {
  Run run(2);
  const FaultResult found = run.run({slow_gpu(0)}).faults[0];
  CHECK(found.step == 0);
  CHECK(found.before.steps == 0);
  CHECK(found.before.step_time == doctest::Approx(run.step_time()));
  CHECK(found.after.steps == 2);
  CHECK(found.remaining == doctest::Approx(found.before.step_time / found.after.step_time));
}

TEST_CASE("a fault after the last step never takes effect") {
  Run run(2);
  const FaultResult found = run.run({slow_gpu(100)}).faults[0];
  CHECK(found.step == -1);
  CHECK(found.before.steps == 0);
  CHECK(found.remaining == 0);
}

TEST_CASE("the step in which a rank is lost is begun again after recovery") {
  Run run(4, StepCase{.redundant = 0});
  const double step = run.step_time();
  const FaultEffect effect = apply_fault(run.healthy.pool, rank_lost(0), run.world.model);
  const double later = run.step_time(effect.pool);
  const PointResult result =
      run.run({rank_lost(1.25 * step), slow_gpu(1.25 * step + 0.5 * effect.recovery.count(), 1)});
  const FaultResult& found = result.faults[0];
  CHECK(found.step == 1);
  CHECK(found.lost == doctest::Approx(0.25 * step));
  CHECK(found.recovery == doctest::Approx(effect.recovery.count()));
  CHECK(found.reloaded == doctest::Approx(effect.reloaded.value));
  CHECK(found.before.steps == 1);
  CHECK(found.after.steps == 3);
  CHECK(found.after.step_time == doctest::Approx(later));
  CHECK(found.memory.find("fits") == 0);
  CHECK(result.steps == 4);  // no step is missing
  CHECK(result.faults[1].step == 1);
  CHECK(result.faults[1].lost == 0);
}

TEST_CASE("steps end where the survivors' memory does not hold the requests") {
  // Contexts that fill the memory of a rank to the last bytes: one request more is too much.
  Run run(3, StepCase{.redundant = 0, .tokens = 4});
  const MemoryLedger ledger = run.healthy.ledger();
  const MoeModel& model = run.world.model;
  int context = 1024;
  const auto fits = [&](int tokens) {
    for (Batch& batch : run.batches)
      for (auto& entries : batch.by_rank)
        for (BatchEntry& entry : entries) entry.context = tokens;
    const PoolState state({run.world.cluster, run.world.plan}, run.source, 0);
    return state.ledger().fits;
  };
  REQUIRE(ledger.fits);
  while (fits(2 * context)) context *= 2;
  int low = context, high = 2 * context;
  while (high - low > 64) (fits((low + high) / 2) ? low : high) = (low + high) / 2;
  REQUIRE(fits(low));
  const PoolState full({run.world.cluster, run.world.plan}, run.source, 0);
  const double step = replay_step(full.inputs(), full.batches[0], {}).timeline.makespan.count();
  run.scenario.faults = {rank_lost(1.5 * step)};
  PointResult result;
  Measurement measurement(full.pool.cluster, model, full.pool.plan);
  CHECK_FALSE(replay_faulted_steps(full, run.scenario, {}, measurement, result));
  measurement.fill(result);
  CHECK(result.steps == 1);
  CHECK(result.faults[0].memory.find("does not fit: rank ") == 0);
  CHECK(result.faults[0].after.steps == 0);
  CHECK(result.faults[0].remaining == 0);

  run.scenario.faults = {rank_lost(0)};
  PointResult nothing;
  const auto unfit = replay_faulted_steps(full, run.scenario, {}, measurement, nothing);
  REQUIRE(unfit);
  CHECK_FALSE(unfit->fits);
  CHECK(unfit->ranks[5].total().value == 0);
}
