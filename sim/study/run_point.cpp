// The worker's side: one point from plan to result. Reads top to bottom as the architecture's
// picture.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "sim/io/files.h"
#include "sim/memory/memory_ledger.h"
#include "sim/memory/rank_memory.h"
#include "sim/plan/step_conditions.h"
#include "sim/result/measure.h"
#include "sim/study/faulted_steps.h"
#include "sim/study/objectives.h"
#include "sim/study/place_experts.h"
#include "sim/study/point_words.h"
#include "sim/study/pool_state.h"
#include "sim/study/rebalanced_steps.h"
#include "sim/study/replay_steps.h"
#include "sim/study/request_times.h"
#include "sim/study/study.h"
#include "sim/trace/request_rows.h"

namespace moesim {
namespace {

void match_trace(const Scenario& scenario, const MoeModel& model, const RoutingTrace& trace) {
  const TraceHeader& header = trace.header;
  const std::string name =
      scenario.trace.file.empty() ? "the traced model " + scenario.routed_by : scenario.trace.file;
  if (header.experts != model.experts || header.top_k != model.top_k) {
    throw InputError(
        fmt::format("{} has {} experts, top-{}, but {} has {} experts, top-{}: the trace must come "
                    "from a model with the "
                    "same two (name it in shapes_from, or trace another)",
                    name, header.experts, header.top_k, model.name, model.experts, model.top_k));
  }
  const std::size_t layers = model.moe_layers().size();
  if (trace.moe_layers() == layers || scenario.repeat_trace_layers) return;
  throw InputError(
      fmt::format("{} has {} MoE layers but {} has {}; to replay them in turn on a stand-in, name "
                  "it in shapes_from",
                  name, trace.moe_layers(), model.name, layers));
}

// One after another: the whole replay part, or its windows.
std::vector<Batch> judged_batches(const Scenario& scenario,
                                  const RoutingTrace& trace,
                                  const std::vector<std::uint32_t>& rows) {
  const WorkloadSpec& workload = scenario.workload;
  const int dp_ranks = scenario.plan.parallelism.data();
  if (workload.windows == 0) return make_batches(workload, trace, rows, dp_ranks, scenario.seed);
  std::vector<Batch> batches;
  for (const auto& window : cut_windows(rows, workload.windows))
    for (Batch& batch : make_batches(workload, trace, window, dp_ranks, scenario.seed))
      batches.push_back(std::move(batch));
  draw_conditions(workload, scenario.seed, batches);  // of all steps: no window repeats another's
  return batches;
}

void take_placement(const MoeModel& model, const ShardingPlan& plan, PointResult& result) {
  for (std::size_t layer = 0; layer < plan.placement.size(); ++layer) {
    result.placement.emplace_back();
    for (const LogicalExpert expert : plan.placement[layer].replica_of)
      result.placement.back().push_back(static_cast<int>(expert));
    result.slot_bytes.push_back(expert_bytes(model, plan).value *
                                static_cast<double>(layers_replaying(model, plan, layer)));
  }
}

void take_memory(const MemoryLedger& ledger, PointResult& result) {
  MemoryResult& memory = result.memory;
  memory.capacity = ledger.capacity.value;
  for (int kind = 0; kind < kMemoryKinds; ++kind)
    memory.kinds.push_back(to_text(static_cast<MemoryKind>(kind)));
  for (const RankMemory& rank : ledger.ranks) {
    memory.by_rank.emplace_back();
    for (const Bytes bytes : rank.by_kind) memory.by_rank.back().push_back(bytes.value);
  }
  memory.fits = ledger.fits;
  memory.worst_rank = ledger.worst_rank;
  memory.headroom = ledger.headroom.value;
  memory.verdict = ledger.verdict;
  const double used = ledger.capacity.value - ledger.headroom.value;
  const double spread = used * basis_error(Basis::calibrated);
  result.metrics.push_back({"memory_headroom",
                            "capacity less what the fullest GPU holds",
                            {memory.headroom, "B", memory.headroom - spread,
                             memory.headroom + spread, Basis::calibrated}});
}

TraceSplit split_rows(const WorkloadSpec& workload, const RoutingTrace& trace) {
  if (workload.windows > 0 && !workload.planned_on_mix)
    return split_trace_in_time(trace, workload.planning_share);
  return split_trace(trace, workload.planning_share);
}

// Tokens of the traced requests that are replayed: what a prompt is here.
double mean_prompt(const RoutingTrace& trace, const std::vector<std::uint32_t>& rows) {
  const std::size_t requests = rows_by_request(trace.request, rows).requests();
  return static_cast<double>(rows.size()) / static_cast<double>(std::max<std::size_t>(requests, 1));
}

// All steps, as the scenario has them: rebalanced, healthy or met by faults. The ledger that ended
// them, where one did.
std::optional<MemoryLedger> replay_all(const Scenario& scenario,
                                       PoolState& state,
                                       const std::vector<std::uint32_t>& rows,
                                       Measurement& measurement,
                                       PointResult& result) {
  ChosenFidelity chosen =
      step_fidelity(state.inputs(), state.batches.front(), scenario.fidelity, result);
  if (!scenario.faults.empty())
    return replay_faulted_steps(state, scenario, chosen.fidelity, measurement, result);
  if (scenario.rebalance)
    replay_rebalanced_steps(
        {scenario, state, cut_windows(rows, scenario.workload.windows), chosen.fidelity},
        measurement, result);
  else
    replay_steps(state, std::move(chosen), measurement, result);
  return std::nullopt;
}

}  // namespace

PointResult run_point(const StudyPoint& point,
                      const std::string& trace_path,
                      int threads,
                      const PointFiles& files) {
  const Scenario& scenario = point.scenario;
  const MoeModel model = load_model(scenario.model);
  const RoutingTrace trace = open_trace(trace_path, TraceCheck::header);
  match_trace(scenario, model, trace);
  const WorkloadSpec& workload = scenario.workload;
  const TraceSplit split = split_rows(workload, trace);
  const std::vector<Batch> batches = judged_batches(scenario, trace, split.replay);
  Pool pool{build_cluster(scenario.cluster), scenario.plan};
  const auto begin = std::chrono::steady_clock::now();
  pool.plan.placement = place_experts({scenario, model, pool.cluster, trace, split.planning});
  const std::chrono::duration<double> planning = std::chrono::steady_clock::now() - begin;
  const StepSource source{model, trace, batches, threads, workload.windows > 0};
  PoolState state(std::move(pool), source, scenario.plan.max_tokens_per_rank);
  const Cluster& cluster = state.pool.cluster;

  PointResult result;
  result.key = point_key(point, trace_path);
  result.planning_seconds = planning.count();
  describe_point(point, cluster, model, trace, result);
  result.expert_load_layers = trace.header.layer_ids;
  add_notes({scenario, model, trace, split, batches}, result);
  MemoryLedger ledger = state.ledger();
  result.ran = ledger.fits;
  if (result.ran) {
    Measurement measurement(cluster, model, state.pool.plan);
    if (workload.windows > 0) {
      measurement.judge_windows(workload.steps);
      take_placement(model, state.pool.plan, result);
    }
    const MemoryLedger begun = ledger;
    if (!files.timeline.empty()) measurement.show_timeline(files.shown, begun);
    const auto unfit = replay_all(scenario, state, split.replay, measurement, result);
    if (unfit) ledger = *unfit;
    result.ran = !unfit;
    if (result.ran) {
      measurement.fill(result);
      add_request_times(state.batches, mean_prompt(trace, split.replay), result,
                        scenario.plan.parallelism.pipeline);
    }
    if (result.ran && !files.links.empty()) write_file(files.links, measurement.link_csv());
    if (result.ran && !files.timeline.empty()) write_file(files.timeline, measurement.timeline());
  }
  add_objectives(scenario, result);
  take_memory(ledger, result);
  result.inputs = {{"trace_sha256", trace.header.data_sha256},
                   {"scenario", std::filesystem::path(scenario.file).filename().string()},
                   {"version", MOESIM_VERSION}};
  return result;
}

}  // namespace moesim
