// One forward step as tasks in the order every rank runs them.
#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include "sim/plan/micro_batches.h"
#include "sim/plan/step_conditions.h"
#include "sim/plan/task_builder.h"

namespace moesim {
namespace {

void check_inputs(const StepInputs& inputs, const Batch& batch) {
  const ShardingPlan& plan = inputs.plan;
  const TraceHeader& header = inputs.trace.header;
  const auto refuse = [&](const std::string& what, std::int64_t of_trace, std::int64_t of_model) {
    throw InputError("the trace of " + header.model + " has " + what + " " +
                     std::to_string(of_trace) + ", the model " + inputs.model.name + " " +
                     std::to_string(of_model) + "; they must be equal");
  };
  if (header.experts != inputs.model.experts)
    refuse("experts", header.experts, inputs.model.experts);
  if (header.top_k != inputs.model.top_k) refuse("top_k", header.top_k, inputs.model.top_k);
  if (inputs.trace.moe_layers() == 0)
    throw InputError("the trace of " + header.model + " has no MoE layer");
  if (plan.parallelism.ranks > inputs.cluster.ranks())
    throw InputError("the plan has " + std::to_string(plan.parallelism.ranks) +
                     " ranks, the cluster " + std::to_string(inputs.cluster.ranks()));
  const auto groups = static_cast<std::size_t>(plan.parallelism.data());
  if (batch.drafts > 0 && inputs.model.mtp_layers.empty())
    throw InputError({"", 0, 0, "workload.multi_token_prediction"},
                     "is asked for, but " + inputs.model.name + " has no such module");
  if (batch.rows.size() != groups || batch.by_rank.size() != groups)
    throw std::logic_error("the batch was made for another number of DP ranks than the plan's");
  if (plan.placement.size() != inputs.trace.moe_layers())
    throw std::logic_error("the plan's placement has another number of layers than the trace");
}

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
  const std::size_t last = std::min(inputs.trace.moe_layers(), inputs.model.moe_layers().size());
  const auto works = work_moe_layers(alone, drafting, paths, last);
  for (int draft = 0; draft < batch.drafts; ++draft) {
    TaskBuilder builder(alone, drafting, paths, graph);
    for (Task& task : builder.draft(works.back())) graph.tasks.push_back(std::move(task));
  }
}

// The layers' tasks of every micro-batch. Experts that move do so beside the first one's dispatch.
std::vector<LayerTasks> layers_of(const StepInputs& inputs,
                                  const std::vector<Batch>& micro_batches,
                                  const FabricPaths& paths,
                                  StepGraph& graph) {
  const std::size_t layers = std::min(inputs.trace.moe_layers(), inputs.model.moe_layers().size());
  std::vector<LayerTasks> lists;
  for (const Batch& micro_batch : micro_batches) {
    StepInputs of_this = inputs;
    if (!lists.empty()) of_this.migration = nullptr;
    TaskBuilder builder(of_this, micro_batch, paths, graph);
    lists.push_back(builder.layers(work_moe_layers(of_this, micro_batch, paths, layers),
                                   static_cast<int>(lists.size())));
  }
  return lists;
}

}  // namespace

StepGraph build_step(const StepInputs& inputs, const Batch& batch) {
  check_inputs(inputs, batch);
  std::optional<FabricPaths> own;
  const FabricPaths& paths =
      inputs.paths != nullptr ? *inputs.paths : own.emplace(inputs.cluster.fabric);
  const OverlapPart& overlap =
      Catalog<OverlapPart>::instance().at(inputs.plan.overlap, "overlap schedule");
  StepGraph graph;
  graph.ranks = inputs.plan.parallelism.ranks;
  graph.tokens = std::llround(static_cast<double>(batch.tokens() - batch.padding) * batch.kept);
  const TaskBuilder whole(inputs, batch, paths, graph);
  if (!batch.host.empty()) graph.tasks.push_back(whole.host());
  graph.tasks.push_back(whole.embedding());
  std::vector<LayerTasks> lists =
      overlap.micro_batches == 1
          ? layers_of(inputs, {batch}, paths, graph)
          : layers_of(inputs, cut_batch(batch, overlap.micro_batches), paths, graph);
  const std::vector<TaskPlace> order = overlap.order(lists, phase_of(batch));
  const std::vector<std::uint32_t> last = append_tasks(std::move(lists), order, graph.tasks);
  graph.tasks.push_back(whole.head());
  if (last.size() > 1) graph.tasks.back().after = last;
  if (batch.drafts > 0) add_drafts(inputs, batch, paths, graph);
  add_noise(batch.noise, graph);
  return graph;
}

}  // namespace moesim
