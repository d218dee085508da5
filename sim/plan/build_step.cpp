// One forward step as tasks in the order every rank runs them.
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include "sim/plan/fabric_paths.h"
#include "sim/plan/pipeline_step.h"
#include "sim/plan/step_cell.h"
#include "sim/plan/step_conditions.h"

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

}  // namespace

StepGraph build_step(const StepInputs& inputs, const Batch& batch) {
  check_inputs(inputs, batch);
  std::optional<FabricPaths> own;
  const FabricPaths& paths =
      inputs.paths != nullptr ? *inputs.paths : own.emplace(inputs.cluster.fabric, inputs.threads);
  StepGraph graph;
  graph.ranks = inputs.plan.parallelism.ranks;
  graph.launch = batch.launch;
  graph.tokens = std::llround(static_cast<double>(batch.tokens() - batch.padding) * batch.kept);
  if (inputs.plan.parallelism.pipeline > 1)
    add_pipeline(inputs, batch, paths, graph);
  else
    add_cell(inputs, batch, paths, {all_layers(inputs.model), 0}, graph);
  add_noise(batch.noise, graph);
  return graph;
}

}  // namespace moesim
