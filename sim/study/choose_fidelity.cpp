// Samples exchanges with the finer fidelity, as far as that takes a second or two.
#include "sim/study/choose_fidelity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

constexpr int kSampledRanks = 64;          // 4,000 flows an exchange: half a second each
constexpr std::size_t kFlowsOfAll = 1200;  // up to so many, every exchange takes 40 ms or less
constexpr std::size_t kFewFlows = 2000;    // up to so many, exchanges of two layers are sampled

StepGraph alone(const StepGraph& graph, const Task& task) {
  StepGraph one;
  one.ranks = graph.ranks;
  one.tasks = {task};
  one.tasks[0].exchange = 0;
  one.tasks[0].after.clear();
  one.exchanges = {graph.exchanges[static_cast<std::size_t>(task.exchange)]};
  return one;
}

// Exchanges that kept their flows, of one layer or two.
std::vector<const Task*> sampled_tasks(const StepGraph& graph) {
  std::vector<const Task*> tasks;
  std::vector<int> layers;
  for (const Task& task : graph.tasks) {
    if (task.kind != TaskKind::dispatch && task.kind != TaskKind::combine) continue;
    const auto& flows = graph.exchanges[static_cast<std::size_t>(task.exchange)].flows;
    if (flows.empty()) continue;
    if (std::find(layers.begin(), layers.end(), task.layer) == layers.end()) {
      if (layers.size() == (flows.size() <= kFewFlows ? 2U : 1U)) break;
      layers.push_back(task.layer);
    }
    tasks.push_back(&task);
  }
  return tasks;
}

std::string layers_of(const std::vector<const Task*>& tasks) {
  std::string text = fmt::format("layer {}", tasks.front()->layer);
  if (tasks.back()->layer != tasks.front()->layer)
    text = fmt::format("layers {} and {}", tasks.front()->layer, tasks.back()->layer);
  return text;
}

bool several_groups(const Parallelism& parallelism) {
  return parallelism.expert < parallelism.ranks || parallelism.tensor > 1;
}

}  // namespace

Fidelity choose_fidelity(const StepInputs& inputs, const Batch& first, FidelityResult& used) {
  const Parallelism& parallelism = inputs.plan.parallelism;
  const Fidelity coarse = several_groups(parallelism) ? Fidelity::links : Fidelity::bound;
  if (parallelism.ranks > kSampledRanks) {
    used.words = fmt::format(
        "fidelity {} without a sample of a finer one: {} ranks make too many flows (up to {} are "
        "sampled)",
        to_text(coarse), parallelism.ranks, kSampledRanks);
    return coarse;
  }
  StepInputs sample = inputs;
  sample.keep_flows = sample.keep_shares = true;
  sample.flows_every = std::max<std::size_t>(1, (inputs.trace.moe_layers() + 1) / 2);
  const StepGraph graph = build_step(sample, first);
  const std::vector<const Task*> tasks = sampled_tasks(graph);
  if (tasks.empty()) {
    used.words = fmt::format("fidelity {}: no bytes go from rank to rank", to_text(coarse));
    return coarse;
  }
  std::size_t flows = 0;
  used.against = to_text(Fidelity::paths);
  for (const Task* task : tasks) {
    const StepGraph one = alone(graph, *task);
    flows = std::max(flows, one.exchanges[0].flows.size());
    const double finer = replay(one, inputs.cluster, Fidelity::paths).makespan.count();
    const double error = replay(one, inputs.cluster, coarse).makespan.count() / finer - 1;
    if (std::abs(error) > std::abs(used.error)) used.error = error;
    ++used.sampled;
  }
  const bool within = std::abs(used.error) <= kStatedError;
  const bool finer = !within && flows <= kFlowsOfAll;
  used.words = fmt::format(
      "fidelity {}: {} was up to {:+.2f} % off paths on {} exchanges of {} alone, {} its stated "
      "{:.0f} %{}",
      to_text(finer ? Fidelity::paths : coarse), to_text(coarse), 100 * used.error, used.sampled,
      layers_of(tasks), within ? "within" : "beyond", 100 * kStatedError,
      within || finer ? ""
                      : fmt::format("; paths for all would take too long at {} flows an "
                                    "exchange, so times of exchanges may be off by that much",
                                    flows));
  return finer ? Fidelity::paths : coarse;
}

}  // namespace moesim
