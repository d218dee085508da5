// Samples exchanges with the finer fidelity, as far as that takes some tenths of a second.
#include "sim/study/choose_fidelity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace moesim {
namespace {

// Flows of one exchange: 4,000 take 30 ms, 9,000 some 0.1 s (bench/replay.cpp, 64 and 96 ranks).
constexpr std::size_t kFlowsOfAll = 2048;  // up to so many, every exchange may take them
constexpr std::size_t kFewFlows = 4096;    // up to so many, exchanges of two layers are sampled
constexpr std::size_t kMostFlows = 8192;   // up to so many, those of one
constexpr int kMostRanks = 512;            // up to so many, flows are counted at all

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

std::size_t most_flows(const StepGraph& graph, const std::vector<const Task*>& tasks) {
  std::size_t most = 0;
  for (const Task* task : tasks)
    most = std::max(most, graph.exchanges[static_cast<std::size_t>(task->exchange)].flows.size());
  return most;
}

std::string unsampled(Fidelity coarse, const std::string& who_has) {
  return fmt::format(
      "fidelity {} without a sample of a finer one: {} too many flows (up to {} ranks and {} flows "
      "an exchange are sampled)",
      to_text(coarse), who_has, kMostRanks, kMostFlows);
}

// As the step would have been built for the coarse fidelity.
StepGraph without_flows(StepGraph graph) {
  for (Exchange& exchange : graph.exchanges) exchange.flows.clear();
  return graph;
}

void sample_exchanges(const StepGraph& graph,
                      const std::vector<const Task*>& tasks,
                      const Cluster& cluster,
                      Fidelity coarse,
                      FidelityResult& used) {
  used.against = to_text(Fidelity::paths);
  for (const Task* task : tasks) {
    const StepGraph one = alone(graph, *task);
    const double finer = replay(one, cluster, Fidelity::paths).makespan.count();
    const double error = replay(one, cluster, coarse).makespan.count() / finer - 1;
    if (std::abs(error) > std::abs(used.error)) used.error = error;
    ++used.sampled;
  }
}

}  // namespace

ChosenFidelity choose_fidelity(const StepInputs& inputs, const Batch& first, FidelityResult& used) {
  const Parallelism& parallelism = inputs.plan.parallelism;
  const Fidelity coarse = several_groups(parallelism) ? Fidelity::links : Fidelity::bound;
  if (parallelism.ranks > kMostRanks) {
    used.words = unsampled(coarse, fmt::format("{} ranks have", parallelism.ranks));
    return {coarse, {}};
  }
  StepInputs sample = inputs;
  sample.keep_flows = true;
  sample.keep_shares = coarse == Fidelity::links;
  sample.flows_every = std::max<std::size_t>(1, (inputs.trace.moe_layers() + 1) / 2);
  StepGraph graph = build_step(sample, first);
  const std::vector<const Task*> tasks = sampled_tasks(graph);
  if (tasks.empty()) {
    used.words = fmt::format("fidelity {}: no bytes go from rank to rank", to_text(coarse));
    return {coarse, std::move(graph)};
  }
  const std::size_t flows = most_flows(graph, tasks);
  if (flows > kMostFlows) {
    used.words = unsampled(coarse, fmt::format("an exchange has {}", flows));
    return {coarse, without_flows(std::move(graph))};
  }
  sample_exchanges(graph, tasks, inputs.cluster, coarse, used);
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
  if (finer) return {Fidelity::paths, {}};  // whose flows every exchange must keep
  return {coarse, without_flows(std::move(graph))};
}

}  // namespace moesim
