// Replays the steps of a point one after another with the fidelity asked for or chosen.
#include "sim/study/replay_steps.h"

#include <algorithm>
#include <utility>

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

ChosenFidelity step_fidelity(const StepInputs& inputs,
                             const Batch& first,
                             const std::optional<Fidelity>& wanted,
                             PointResult& result) {
  FidelityResult used;
  ChosenFidelity chosen =
      wanted ? ChosenFidelity{*wanted, {}} : choose_fidelity(inputs, first, used);
  result.fidelity = used.fidelity = to_text(chosen.fidelity);
  if (wanted) used.words = "fidelity " + used.fidelity + " as the scenario asks";
  result.fidelities.push_back(std::move(used));
  return chosen;
}

ReplayedStep replay_step(const StepInputs& inputs,
                         const Batch& batch,
                         Fidelity fidelity,
                         PointResult* first_of,
                         std::optional<StepGraph> built) {
  StepInputs step_inputs = inputs;
  step_inputs.keep_flows = by_flow(fidelity);
  step_inputs.keep_shares = fidelity == Fidelity::links;
  ReplayOptions options(fidelity);
  options.paths = inputs.paths;
  ReplayedStep step{built ? std::move(*built) : build_step(step_inputs, batch), {}};
  step.timeline = replay(step.graph, inputs.cluster, options);
  const CheckReport report = check_step(step.graph, step.timeline, inputs.cluster);
  if (first_of == nullptr) return step;
  for (const std::string& law : report.passed) {  // once, however often a pool begins anew
    const auto same = [&](const CheckResult& check) { return check.law == law; };
    if (std::none_of(first_of->checks.begin(), first_of->checks.end(), same))
      first_of->checks.push_back({law, true});
  }
  if (!first_of->fidelities.empty()) {
    if (exchange_tasks(step.graph) == 0)
      first_of->fidelities.pop_back();
    else
      first_of->fidelities.back().exchanges = exchange_tasks(step.graph);
  }
  return step;
}

void replay_steps(PoolState& state,
                  ChosenFidelity chosen,
                  Measurement& measurement,
                  PointResult& result) {
  for (std::size_t step = 0; step < state.batches.size(); ++step) {
    const ReplayedStep one =
        replay_step(state.inputs(), state.batches[step], chosen.fidelity,
                    step == 0 ? &result : nullptr, std::exchange(chosen.first, std::nullopt));
    if (step + 1 == state.batches.size()) state.paths.reset();
    measurement.add(one.graph, one.timeline);
  }
}

}  // namespace moesim
