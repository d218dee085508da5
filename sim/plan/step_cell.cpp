// The tasks of a cell, in the order every rank runs them.
#include "sim/plan/step_cell.h"

#include <algorithm>

#include "sim/plan/micro_batches.h"
#include "sim/plan/task_builder.h"

namespace moesim {
namespace {

Phase phase_of(const Batch& batch) {
  for (const auto& entries : batch.by_rank)
    if (!entries.empty()) return entries.front().phase;
  return Phase::decode;
}

// One token of each request, as the multi-token prediction module drafts them.
Batch drafting_batch(const Batch& batch) {
  Batch drafting = batch;
  for (std::size_t group = 0; group < batch.rows.size(); ++group) {
    drafting.rows[group].clear();
    std::size_t row = 0;
    for (BatchEntry& entry : drafting.by_rank[group]) {
      drafting.rows[group].push_back(batch.rows[group][row]);
      row += static_cast<std::size_t>(entry.new_tokens);
      entry.new_tokens = 1;
    }
  }
  return drafting;
}

// Each draft waits for the token before it.
void add_drafts(const StepInputs& inputs,
                const Batch& batch,
                const FabricPaths& paths,
                StepGraph& graph) {
  const Batch drafting = drafting_batch(batch);
  StepInputs alone = inputs;
  alone.migration = nullptr;
  const std::size_t all = std::min(inputs.trace.moe_layers(), inputs.model.moe_layers().size());
  const auto works = work_moe_layers(alone, drafting, paths, {all, all - 1, all});
  for (int draft = 0; draft < batch.drafts; ++draft) {
    TaskBuilder builder(alone, drafting, paths, graph);
    for (Task& task : builder.draft(works.back())) graph.tasks.push_back(std::move(task));
  }
}

// Trace layers that the stage's MoE layers replay.
TraceLayers traced_by(const StageLayers& stage, const StepInputs& inputs) {
  const std::vector<std::size_t> moe = inputs.model.moe_layers();
  TraceLayers layers;
  layers.all = std::min(inputs.trace.moe_layers(), moe.size());
  const auto before = [&](std::size_t layer) {
    return static_cast<std::size_t>(std::lower_bound(moe.begin(), moe.end(), layer) - moe.begin());
  };
  const std::size_t first = before(stage.first), last = before(stage.last);
  if (first == last) return layers;
  layers.first = first % layers.all;
  layers.last = layers.first + last - first;
  if (layers.last > layers.all) {  // from the first again
    layers.first = 0;
    layers.last = layers.all;
  }
  return layers;
}

// The layers' tasks of every micro-batch. Experts that move do so beside the first one's dispatch.
std::vector<LayerTasks> layers_of(const StepInputs& inputs,
                                  const std::vector<Batch>& micro_batches,
                                  const FabricPaths& paths,
                                  const StepCell& cell,
                                  StepGraph& graph) {
  const TraceLayers traced = traced_by(cell.layers, inputs);
  std::vector<LayerTasks> lists;
  for (const Batch& micro_batch : micro_batches) {
    StepInputs of_this = inputs;
    if (!lists.empty()) of_this.migration = nullptr;
    TaskBuilder builder(of_this, micro_batch, paths, graph);
    lists.push_back(builder.layers(work_moe_layers(of_this, micro_batch, paths, traced),
                                   cell.layers, static_cast<int>(lists.size())));
  }
  return lists;
}

// Before the layers: what the host does, and how the hidden rows come to be there.
void add_entry(const StepInputs& inputs,
               const Batch& batch,
               const FabricPaths& paths,
               const StepCell& cell,
               StepGraph& graph) {
  TaskBuilder whole(inputs, batch, paths, graph);
  if (!batch.host.empty()) graph.tasks.push_back(whole.host());
  if (cell.layers.embeds) graph.tasks.push_back(whole.embedding());
  if (cell.layers.embeds) return;
  for (Task& task : whole.received()) graph.tasks.push_back(std::move(task));
}

}  // namespace

std::vector<std::uint32_t> add_cell(const StepInputs& inputs,
                                    const Batch& batch,
                                    const FabricPaths& paths,
                                    const StepCell& cell,
                                    StepGraph& graph) {
  const OverlapPart& overlap =
      Catalog<OverlapPart>::instance().at(inputs.plan.overlap, "overlap schedule");
  const std::size_t first_task = graph.tasks.size(), first_load = graph.loads.size();
  add_entry(inputs, batch, paths, cell, graph);
  std::vector<LayerTasks> lists =
      overlap.micro_batches == 1
          ? layers_of(inputs, {batch}, paths, cell, graph)
          : layers_of(inputs, cut_batch(batch, overlap.micro_batches), paths, cell, graph);
  const std::vector<TaskPlace> order = overlap.order(lists, phase_of(batch));
  std::vector<std::uint32_t> last = append_tasks(std::move(lists), order, graph.tasks);
  if (cell.layers.heads) {
    graph.tasks.push_back(TaskBuilder(inputs, batch, paths, graph).head());
    if (last.size() > 1) graph.tasks.back().after = last;
    if (batch.drafts > 0) add_drafts(inputs, batch, paths, graph);
    last = {static_cast<std::uint32_t>(graph.tasks.size() - 1)};
  }
  const int before = cell.micro_batch * overlap.micro_batches;
  for (std::size_t i = first_task; i < graph.tasks.size(); ++i)
    graph.tasks[i].micro_batch += before;
  for (std::size_t i = first_load; i < graph.loads.size(); ++i)
    graph.loads[i].micro_batch += before;
  return last;
}

}  // namespace moesim
