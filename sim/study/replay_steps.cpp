// Replays the steps of a point one after another with the fidelity asked for or chosen.
#include "sim/study/replay_steps.h"

#include "sim/study/choose_fidelity.h"

namespace moesim {
namespace {

bool by_flow(Fidelity fidelity) {
  return fidelity == Fidelity::paths || fidelity == Fidelity::flows;
}

int exchange_tasks(const StepGraph& graph) {
  int count = 0;
  for (const Task& task : graph.tasks) count += task.exchange >= 0 ? 1 : 0;
  return count;
}

}  // namespace

void replay_steps(const StepInputs& inputs,
                  const std::vector<Batch>& batches,
                  const std::optional<Fidelity>& wanted,
                  Measurement& measurement,
                  PointResult& result) {
  const Cluster& cluster = inputs.cluster;
  FidelityResult used;
  const Fidelity fidelity = wanted ? *wanted : choose_fidelity(inputs, batches.front(), used);
  result.fidelity = used.fidelity = to_text(fidelity);
  if (wanted) used.words = "fidelity " + used.fidelity + " as the scenario asks";
  StepInputs step_inputs = inputs;
  step_inputs.keep_flows = by_flow(fidelity);
  step_inputs.keep_shares = fidelity == Fidelity::links;
  ReplayOptions options(fidelity);
  options.paths = inputs.paths;
  for (std::size_t step = 0; step < batches.size(); ++step) {
    const StepGraph graph = build_step(step_inputs, batches[step]);
    const Timeline timeline = replay(graph, cluster, options);
    const CheckReport report = check_step(graph, timeline, cluster);
    measurement.add(graph, timeline);
    if (step > 0) continue;
    used.exchanges = exchange_tasks(graph);
    for (const std::string& law : report.passed) result.checks.push_back({law, true});
  }
  if (used.exchanges > 0) result.fidelities.push_back(std::move(used));
}

}  // namespace moesim
