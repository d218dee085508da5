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

StepFidelity choose_fidelity(const Cluster& cluster,
                             const std::optional<Fidelity>& wanted,
                             PointResult& result) {
  const bool use_flows = wanted ? *wanted == Fidelity::flows
                                : shares_unevenly(cluster) && cluster.ranks() <= kFlowsRanks;
  const StepFidelity chosen{use_flows ? Fidelity::flows : Fidelity::bound,
                            !wanted && !use_flows && cluster.ranks() <= kSampledRanks};
  result.fidelity = to_text(chosen.fidelity);
  if (!wanted && !use_flows && shares_unevenly(cluster)) {
    result.notes.emplace_back(
        "The fabric shares links unevenly and is too large for fidelity flows; bound reads "
        "exchanges "
        "up to 15 % low here when ranks start them together, up to 25 % high when they do not.");
  }
  return chosen;
}

ReplayedStep replay_step(const StepInputs& inputs,
                         const Batch& batch,
                         const StepFidelity& fidelity,
                         PointResult* first_of,
                         const std::string& when) {
  const bool sample = fidelity.sample && first_of != nullptr;
  StepInputs step_inputs = inputs;
  step_inputs.keep_flows = fidelity.fidelity == Fidelity::flows || sample;
  ReplayedStep step{build_step(step_inputs, batch), {}};
  step.timeline = replay(step.graph, inputs.cluster, fidelity.fidelity);
  const CheckReport report = check_step(step.graph, step.timeline, inputs.cluster);
  if (first_of == nullptr) return step;
  const std::string error = sample ? sampled_error(step.graph, inputs.cluster) : "";
  add_checks(report, error.empty() ? "" : error + when, *first_of);
  return step;
}

void replay_steps(const StepInputs& inputs,
                  const std::vector<Batch>& batches,
                  const StepFidelity& fidelity,
                  Measurement& measurement,
                  PointResult& result) {
  for (std::size_t step = 0; step < batches.size(); ++step) {
    const ReplayedStep one =
        replay_step(inputs, batches[step], fidelity, step == 0 ? &result : nullptr);
    measurement.add(one.graph, one.timeline);
  }
}

}  // namespace moesim
