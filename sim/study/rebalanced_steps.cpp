// Window by window: is a rebalance due, what does it move and cost, then the window's own steps.
#include "sim/study/rebalanced_steps.h"

#include <algorithm>
#include <utility>

#include "sim/memory/rank_memory.h"
#include "sim/plan/migration.h"
#include "sim/plan/placement.h"
#include "sim/study/place_experts.h"

namespace moesim {
namespace {

class RebalancedSteps {
 public:
  explicit RebalancedSteps(const RebalancedWork& work)
      : work_(work), policy_(*work.scenario.rebalance), plan_(work.start.pool.plan) {}

  void run(Measurement& measurement, PointResult& result) {
    for (std::size_t window = 0; window < work_.windows.size(); ++window) {
      const bool rebalanced = due(window);
      if (rebalanced) rebalance(window, result);
      double seconds = 0;
      for (std::size_t step = 0; step < steps(); ++step) {
        const bool first = window == 0 && step == 0;
        const ReplayedStep one = replay_step(inputs(plan_, nullptr), batch(window, step),
                                             work_.fidelity, first ? &result : nullptr);
        measurement.add(one.graph, one.timeline);
        seconds += one.timeline.makespan.count();
      }
      if (rebalanced) result.rebalances.back().after = seconds / static_cast<double>(steps());
    }
  }

 private:
  std::size_t steps() const { return static_cast<std::size_t>(work_.scenario.workload.steps); }
  const Batch& batch(std::size_t window, std::size_t step) const {
    return work_.start.batches[window * steps() + step % steps()];
  }
  StepInputs inputs(const ShardingPlan& plan, const Migration* migration) const {
    const StepInputs now = work_.start.inputs();
    return {now.model,       now.cluster,     plan,
            now.trace,       now.costs,       now.keep_flows,
            now.threads,     now.paths,       now.keep_shares,
            now.flows_every, now.count_reach, migration,
            now.expert_bytes};
  }
  double step_time(const ShardingPlan& plan, const Batch& batch, const Migration* migration) const {
    return replay_step(inputs(plan, migration), batch, work_.fidelity).timeline.makespan.count();
  }
  double window_time(const ShardingPlan& plan, std::size_t window) const {
    double sum = 0;
    for (std::size_t step = 0; step < steps(); ++step)
      sum += step_time(plan, batch(window, step), nullptr);
    return sum / static_cast<double>(steps());
  }

  std::vector<std::uint32_t> rows_before(std::size_t window) const {
    const auto known = static_cast<std::size_t>(policy_.load_windows);
    std::vector<std::uint32_t> rows;
    for (std::size_t i = window - std::min(window, known); i < window; ++i)
      rows.insert(rows.end(), work_.windows[i].begin(), work_.windows[i].end());
    return rows;
  }

  // Largest over mean load of a rank in the window before, mean over the layers.
  double imbalance_before(std::size_t window) const {
    const auto load = expert_load(work_.start.source.trace, work_.windows[window - 1]);
    double sum = 0;
    for (std::size_t layer = 0; layer < load.size(); ++layer)
      sum += 1 / balancedness(rank_load(plan_.placement[layer], load[layer],
                                        static_cast<std::size_t>(plan_.parallelism.expert)));
    return sum / static_cast<double>(load.size());
  }

  bool due(std::size_t window) const {
    if (window == 0 || window % static_cast<std::size_t>(policy_.every) != 0) return false;
    return policy_.threshold == 0 || imbalance_before(window) >= policy_.threshold;
  }

  void rebalance(std::size_t window, PointResult& result);  // all but the steps after it
  double migrate(std::size_t window,
                 const std::vector<Placement>& fresh,
                 RebalanceResult& rebalanced) const;

  const RebalancedWork& work_;
  const RebalancePolicy& policy_;
  ShardingPlan plan_;  // as it is now
};

// Chunk after chunk, one a step: its layers' replicas share the links with that step's dispatch and
// are in place from the next step on. Returns what the steps take longer for it.
double RebalancedSteps::migrate(std::size_t window,
                                const std::vector<Placement>& fresh,
                                RebalanceResult& rebalanced) const {
  const std::size_t layers = fresh.size();
  const std::size_t chunk =
      policy_.layers_per_chunk > 0 ? static_cast<std::size_t>(policy_.layers_per_chunk) : layers;
  ShardingPlan mixed = plan_;
  double longer = 0;
  for (std::size_t first = 0; first < layers; first += chunk) {
    const LayerSpan span{first, std::min(first + chunk, layers)};
    Migration migration = migration_between(mixed.placement, fresh, plan_.parallelism,
                                            work_.start.pool.cluster.fabric.ranks_per_node, span);
    migration.expert_bytes = expert_bytes(work_.start.source.model, plan_).value;
    const Batch& step = batch(window, static_cast<std::size_t>(rebalanced.steps));
    longer += step_time(mixed, step, &migration) - step_time(mixed, step, nullptr);
    for (std::size_t layer = span.first; layer < span.last; ++layer) {
      if (migration.replicas[layer]) {
        const auto replayed =
            static_cast<double>(layers_replaying(work_.start.source.model, plan_, layer));
        const auto moved = static_cast<double>(migration.replicas[layer]->total());
        rebalanced.replicas += moved * replayed;
        rebalanced.moved_bytes += moved * replayed * migration.expert_bytes;
      }
      mixed.placement[layer] = fresh[layer];
    }
    ++rebalanced.steps;
  }
  return longer;
}

void RebalancedSteps::rebalance(std::size_t window, PointResult& result) {
  const std::vector<std::uint32_t> rows = rows_before(window);
  const std::vector<Placement> fresh =
      place_experts({work_.scenario, work_.start.source.model, work_.start.pool.cluster,
                     work_.start.source.trace, rows, plan_.placement});
  RebalanceResult rebalanced;
  rebalanced.window = static_cast<int>(window);
  rebalanced.host = policy_.host_time.count();
  rebalanced.migration = migrate(window, fresh, rebalanced);
  rebalanced.before = window_time(plan_, window);
  plan_.placement = fresh;
  result.rebalances.push_back(rebalanced);
}

}  // namespace

void replay_rebalanced_steps(const RebalancedWork& work,
                             Measurement& measurement,
                             PointResult& result) {
  RebalancedSteps(work).run(measurement, result);
}

}  // namespace moesim
