// Chooses the fidelity, and on small clusters measures what the coarser one costs.
#include "sim/study/replay_steps.h"

#include <fmt/format.h>

#include <algorithm>

namespace moesim {
namespace {

constexpr int kSampledRanks =
    64;                          // up to here one layer's exchanges are also replayed flow by flow
constexpr int kFlowsRanks = 32;  // an exchange takes 35 ms with flows at 32 ranks, 0.6 s at 64

bool shares_unevenly(const Cluster& cluster) {
  return cluster.spec.options.oversubscription > 1 || cluster.spec.options.ecmp;
}

// One layer's dispatch and combine, bound against flows: the error of the coarser tier on this very
// traffic.
std::string sampled_error(const StepGraph& graph, const Cluster& cluster) {
  StepGraph sample;
  sample.ranks = graph.ranks;
  const auto first = std::find_if(graph.tasks.begin(), graph.tasks.end(),
                                  [](const Task& task) { return task.kind == TaskKind::dispatch; });
  if (first == graph.tasks.end()) return "";
  for (auto task = first; task != graph.tasks.end() && task->layer == first->layer; ++task) {
    if (task->kind == TaskKind::dispatch || task->kind == TaskKind::combine)
      sample.tasks.push_back(*task);
  }
  sample.exchanges = graph.exchanges;
  const Seconds bound = replay(sample, cluster, Fidelity::bound).makespan;
  const Seconds flows = replay(sample, cluster, Fidelity::flows).makespan;
  return fmt::format(
      "fidelity bound is {1:+.2f} % off the replay of every flow, on layer {0}'s dispatch and "
      "combine, all ranks starting together",
      first->layer, 100 * (bound / flows - 1));
}

void add_checks(const CheckReport& report, const std::string& error, PointResult& result) {
  for (const std::string& law : report.passed) result.checks.push_back({law, true});
  if (!error.empty()) result.checks.push_back({error, true});
}

}  // namespace

void replay_steps(const StepInputs& inputs,
                  const std::vector<Batch>& batches,
                  const std::optional<Fidelity>& wanted,
                  Measurement& measurement,
                  PointResult& result) {
  const Cluster& cluster = inputs.cluster;
  const bool use_flows = wanted ? *wanted == Fidelity::flows
                                : shares_unevenly(cluster) && cluster.ranks() <= kFlowsRanks;
  const Fidelity fidelity = use_flows ? Fidelity::flows : Fidelity::bound;
  const bool sample = !wanted && !use_flows && cluster.ranks() <= kSampledRanks;
  result.fidelity = to_text(fidelity);
  for (std::size_t step = 0; step < batches.size(); ++step) {
    const bool first = step == 0;
    StepInputs step_inputs = inputs;
    step_inputs.keep_flows = use_flows || (sample && first);
    const StepGraph graph = build_step(step_inputs, batches[step]);
    const Timeline timeline = replay(graph, cluster, fidelity);
    const CheckReport report = check_step(graph, timeline, cluster);
    measurement.add(graph, timeline);
    if (!first) continue;
    add_checks(report, sample ? sampled_error(graph, cluster) : "", result);
  }
  if (!wanted && !use_flows && shares_unevenly(cluster)) {
    result.notes.emplace_back(
        "The fabric shares links unevenly and is too large for fidelity flows; bound reads "
        "exchanges "
        "up to 15 % low here when ranks start them together, up to 25 % high when they do not.");
  }
}

}  // namespace moesim
