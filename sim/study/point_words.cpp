// Labels and notes of one point.
#include "sim/study/point_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>

namespace moesim {
namespace {

// A sampled number has up to 17 digits: four tell points apart.
std::string short_number(const std::string& value) {
  constexpr std::size_t kShort = 6;
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (value.size() <= kShort || value.find('.') == std::string::npos) return value;
  if (*end != '\0' && *end != ' ') return value;
  return fmt::format("{:.4g}{}", number, end);
}

// A name speaks for itself; a number needs its key: "eplb", "16 redundant experts". An object is
// known by what it names.
std::string value_label(const std::string& key, const std::string& value) {
  if (!value.empty() && value[0] == '{') {
    const nlohmann::json object = nlohmann::json::parse(value, nullptr, false);
    for (const char* naming : {"preset", "strategy", "file", "dispatch"})
      if (object.is_object() && object.contains(naming) && object[naming].is_string())
        return object[naming].get<std::string>();
  }
  const bool name = std::isalpha(static_cast<unsigned char>(value.empty() ? ' ' : value[0])) != 0;
  if (name && value != "true" && value != "false") return value;
  const std::string shown = short_number(value);
  std::string words = key.substr(key.rfind('.') + 1);
  std::replace(words.begin(), words.end(), '_', ' ');
  return shown + " " + words;
}

std::string faults_label(const Scenario& scenario) {
  std::string label;
  for (const Fault& fault : scenario.faults) label += (label.empty() ? "" : " + ") + to_text(fault);
  return label.empty() ? "no faults" : label;
}

std::string rebalance_label(const Scenario& scenario) {
  if (!scenario.rebalance) return "never rebalanced";
  const RebalancePolicy& policy = *scenario.rebalance;
  std::string label = policy.every == 1 ? "rebalanced every window"
                                        : fmt::format("rebalanced every {} windows", policy.every);
  if (policy.threshold > 0) label += fmt::format(" from {:g} on", policy.threshold);
  return label;
}

// A trace file says whose routing it holds; every other trace is the scenario's model's.
std::string routing_model(const Scenario& scenario, const RoutingTrace& trace) {
  const bool named = !scenario.trace.file.empty() && !trace.header.model.empty();
  return named ? trace.header.model : scenario.routed_by;
}

// "2 x 8 h100-sxm + 1 x 8 a100-sxm": nodes alike that follow each other together.
std::string nodes_text(const Cluster& cluster) {
  std::string text;
  const Fabric& fabric = cluster.fabric;
  for (int node = 0, first = 0; node < fabric.nodes(); ++node) {
    const auto gpu = [&](int of) -> const Accelerator& {
      return cluster.accelerator_of(Rank{of * fabric.ranks_per_node});
    };
    if (node + 1 < fabric.nodes() && gpu(node + 1).name == gpu(node).name) continue;
    text += fmt::format("{}{} x {} {}", text.empty() ? "" : " + ", node + 1 - first,
                        fabric.ranks_per_node, gpu(node).name);
    first = node + 1;
  }
  return text;
}

// Whose routing it is, and how much of it.
void note_trace(const PointFacts& facts, PointResult& result) {
  const Scenario& scenario = facts.scenario;
  const MoeModel& model = facts.model;
  const RoutingTrace& trace = facts.trace;
  const TraceSplit& split = facts.split;
  const std::vector<Batch>& batches = facts.batches;
  const std::size_t layers = model.moe_layers().size();
  if (scenario.repeat_trace_layers) {
    result.notes.push_back(
        fmt::format("Stand-in: routing by {}, costs with the shapes of {}; its {} MoE layers "
                    "replay the {} traced "
                    "ones in turn ({:.3g} times).",
                    routing_model(scenario, trace), model.name, layers, trace.moe_layers(),
                    static_cast<double>(layers) / static_cast<double>(trace.moe_layers())));
  }
  const double tokens = std::accumulate(
      batches.begin(), batches.end(), 0.0,
      [](double sum, const Batch& batch) { return sum + static_cast<double>(batch.tokens()); });
  // The same words for points that differ in tokens alone: notes are listed once.
  result.notes.push_back(fmt::format(
      "Simulated tokens replay {} traced ones{} (origin: {}); placements saw {}.",
      split.replay.size(),
      tokens > static_cast<double>(split.replay.size()) ? " more than once" : "",
      trace.header.origin,
      scenario.workload.planning_share > 0
          ? fmt::format("{} {}", split.planning.size(),
                        scenario.workload.windows > 0 && !scenario.workload.planned_on_mix
                            ? "tokens before them"
                            : "other tokens of the same texts")
          : std::string("the very tokens that are replayed")));
  if (scenario.workload.phase == Phase::decode &&
      std::all_of(trace.phase.begin(), trace.phase.end(), [](auto phase) { return phase == 0; })) {
    result.notes.emplace_back(
        "Decode steps replay rows of a prefill: with the text given, a causal model routes a token "
        "the same in both.");
  }
}

bool crosses_nodes(const Parallelism& parallelism, int per_node) {
  const auto leaves_node = [&](int of_group) {
    return of_group > 1 && parallelism.ranks > per_node && per_node % of_group != 0;
  };
  const bool stages = parallelism.pipeline > 1 && parallelism.ranks > per_node;
  return stages || leaves_node(parallelism.expert) || leaves_node(parallelism.tensor);
}

// Where exchanges are taken beyond what their constants were measured on.
void note_measured_range(const Scenario& scenario, PointResult& result) {
  const ShardingPlan& plan = scenario.plan;
  const auto uses = [&](const std::string& prefix) {
    return plan.dispatch.starts_with(prefix) || plan.combine.starts_with(prefix);
  };
  const bool across = crosses_nodes(plan.parallelism, scenario.cluster.options.gpus_per_node);
  const int tokens =
      scenario.workload.tokens_per_rank / (plan.parallelism.tensor * plan.parallelism.pipeline);
  if (uses("deepep_low_latency") && plan.parallelism.expert > 1 && tokens > (across ? 128 : 1024))
    result.notes.emplace_back(
        "deepep_low_latency was measured with up to 1024 tokens a rank, 128 across nodes; beyond, "
        "its times are extrapolated.");
  if (uses("nvlink_") && across)
    result.notes.emplace_back(
        "The nvlink algorithms write over NVLink and were measured inside one NVLink domain; "
        "across domains they stand for the same writes over NICs, which nobody has measured.");
}

// What the numbers leave out.
void note_limits(const Scenario& scenario, PointResult& result) {
  const ShardingPlan& plan = scenario.plan;
  const WorkloadSpec& workload = scenario.workload;
  if (plan.redundant_experts > 0 &&
      (plan.placement_strategy == "contiguous" || plan.placement_strategy == "round_robin")) {
    result.notes.push_back(fmt::format(
        "{} fills its {} redundant slots in order, whatever the load; the plain baseline "
        "is redundant_experts 0.",
        plan.placement_strategy, plan.redundant_experts));
  }
  if (workload.phase == Phase::prefill) {
    result.notes.emplace_back(
        "A prefill entry is as long as its traced request's rows that are replayed; attention over "
        "longer prompts costs more.");
  }
  if (plan.parallelism.pipeline > 1) {
    result.notes.push_back(fmt::format(
        "A pipeline of {} stages, full: filling and draining it is not counted, and all stages "
        "hand on together, so that each of the {} rounds of a step takes as long as its slowest "
        "stage.",
        plan.parallelism.pipeline, plan.parallelism.pipeline));
  }
  if (plan.resident_experts > 0) {
    result.notes.push_back(fmt::format(
        "Of a rank's experts in each layer the {} with most planned load stay on the GPU; every "
        "other one that a step's tokens go to is copied from host memory at the datasheet's PCIe "
        "bandwidth, after dispatch and before the experts run: prefetching would hide some of it.",
        plan.resident_experts));
  }
  if (workload.launch.count() > 0)
    result.notes.emplace_back(
        "The host launches the model's kernels and exchanges one by one; an engine has more "
        "kernels, small ones, than the model knows.");
  note_measured_range(scenario, result);
  result.notes.emplace_back(
      "Exchange times under skew are unproven on hardware: no published measurement of one was "
      "found.");
  if (!crosses_nodes(plan.parallelism, scenario.cluster.options.gpus_per_node)) return;
  result.notes.emplace_back(
      "Exchanges cross nodes: the fluid network model lets the transfers on a link share it "
      "max-min and knows no packet loss, PFC pauses or incast, which only make exchanges longer.");
}

}  // namespace

std::string point_label(const StudyPoint& point) {
  const Scenario& scenario = point.scenario;
  std::string whole;
  std::string seed;  // last, so that repeats share all that is before it
  for (const auto& [key, value] : point.varied) {
    if (key == "seed") {
      seed = "seed " + value;
      continue;
    }
    std::string label = value_label(key, value);
    if (key == "faults") label = faults_label(scenario);
    if (key == "plan.rebalance") label = rebalance_label(scenario);
    if (key == "plan.placement") label = scenario.plan.placement_strategy;
    whole += (whole.empty() ? "" : ", ") + label;
  }
  if (whole.empty())
    whole = seed.empty() ? scenario.plan.placement_strategy : seed;
  else if (!seed.empty())
    whole += ", " + seed;
  return whole;
}

void describe_point(const StudyPoint& point,
                    const Cluster& cluster,
                    const MoeModel& model,
                    const RoutingTrace& trace,
                    PointResult& result) {
  const Scenario& scenario = point.scenario;
  result.varied = point.varied;
  result.label = point_label(point);
  result.scenario_name = scenario.name;
  result.model = model.name;
  result.routed_by = routing_model(scenario, trace);
  result.cluster = fmt::format("{}, {}", nodes_text(cluster), cluster.spec.topology);
  result.phase = scenario.workload.phase == Phase::decode ? "decode" : "prefill";
  result.ranks = cluster.ranks();
  result.group_ranks = scenario.plan.parallelism.expert;
  result.ranks_per_node = cluster.fabric.ranks_per_node;
  result.seed = scenario.seed;
}

void add_notes(const PointFacts& facts, PointResult& result) {
  note_trace(facts, result);
  note_limits(facts.scenario, result);
}

}  // namespace moesim
