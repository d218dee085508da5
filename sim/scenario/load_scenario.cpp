// Reads one scenario key by key; a reader per part of the file.
#include "sim/scenario/load_scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "sim/io/files.h"
#include "sim/io/json_path.h"
#include "sim/plan/all_to_all.h"
#include "sim/plan/overlap.h"
#include "sim/scenario/at_place.h"
#include "sim/scenario/check_sizes.h"
#include "sim/scenario/check_together.h"
#include "sim/scenario/load_cluster.h"
#include "sim/scenario/load_faults.h"
#include "sim/scenario/load_memory.h"
#include "sim/scenario/load_objectives.h"
#include "sim/scenario/load_placement.h"
#include "sim/scenario/load_precision.h"
#include "sim/scenario/load_synthetic.h"
#include "sim/scenario/load_workload.h"
#include "sim/scenario/study_axes.h"

namespace moesim {
namespace {

constexpr int kMostSms = 160;  // where an accelerator does not say; Blackwell's full die has 160
constexpr int kMostSmsOfAny = 1024;  // of an accelerator of anybody's, for editors that know none

// Where the file's paths start: "folder" says so of a file that `moesim search` has written; it is
// the scenario searched, or the folder of it.
std::string folder_of(const JsonNode& root, const std::string& file_folder) {
  const auto elsewhere = root.find("folder");
  if (!elsewhere) return file_folder;
  const std::string named = elsewhere->as_string();
  return std::filesystem::is_regular_file(named)
             ? std::filesystem::path(named).parent_path().string()
             : named;
}

void read_int(
    const JsonNode& object, const char* key, int& into, std::int64_t low, std::int64_t high) {
  if (const auto node = object.find(key)) into = static_cast<int>(node->as_int(low, high));
}

void read_forward_run(const JsonNode& node, TraceSource& source) {
  read_int(node, "tokens_per_domain", source.tokens_per_domain, 1, 1 << 30);
  read_int(node, "chunk_tokens", source.chunk_tokens, 2, 1 << 20);
  read_int(node, "prefill_chunk_tokens", source.prefill_chunk_tokens, 1, 1 << 20);
  read_int(node, "batch", source.batch, 1, 1 << 16);
  if (const auto last = node.find("decode_tokens"))
    source.decode_tokens =
        static_cast<int>(last->as_int(0, source.chunk_tokens - 1, {0, (1 << 20) - 1}));
  read_int(node, "generate_tokens", source.generate_tokens, 0, 1 << 20);
  const auto temperature = node.find("temperature");
  const auto seed = node.find("seed");
  if (temperature) source.temperature = temperature->as_ratio(0, 100);
  if (seed) source.sampling_seed = static_cast<std::uint64_t>(seed->as_int(0, 1LL << 53));
  if (temperature && source.generate_tokens == 0)
    temperature->fail("shapes generated tokens; give \"generate_tokens\" too");
  if (seed && source.temperature == 0)
    seed->fail("is of sampled tokens; give a \"temperature\" above 0 too");
}

TraceSource read_trace_source(const JsonNode& node,
                              const std::string& routed_by,
                              const std::string& folder) {
  node.allow_only({"file", "forward", "synthetic"});
  TraceSource source;
  if (const auto file = node.find("file")) source.file = existing_path(*file, folder);
  const auto forward = node.find("forward");
  const auto synthetic = node.find("synthetic");
  if (int{!source.file.empty()} + int{forward.has_value()} + int{synthetic.has_value()} != 1)
    node.fail("needs one of \"file\", \"forward\" and \"synthetic\"");
  if (synthetic) {
    const MoeModel model =
        at_place(*synthetic, [&] { return load_model(resolve_model(routed_by, folder)); });
    source.synthetic = read_synthetic(*synthetic, model, folder);
  }
  if (!forward) return source;
  forward->allow_only({"texts", "tokens_per_domain", "chunk_tokens", "prefill_chunk_tokens",
                       "batch", "decode_tokens", "generate_tokens", "temperature", "seed"});
  source.forward_model = resolve_model(routed_by, folder);
  if (!std::filesystem::is_directory(source.forward_model)) {
    forward->fail("the model \"" + routed_by +
                  "\" has shapes but no weights here, so it cannot run forward; "
                  "use \"reference\", a checkpoint folder, or a trace \"file\"");
  }
  const JsonNode texts = forward->at("texts");
  source.forward_texts =
      texts.is("reference") ? data_path("workloads/reference/texts") : existing_path(texts, folder);
  read_forward_run(*forward, source);
  return source;
}

void read_all_to_all(const JsonNode& node, ShardingPlan& plan) {
  const auto names = Catalog<AllToAllPart>::instance().names();
  if (node.is_string()) {
    plan.dispatch = plan.combine = node.as_choice(names, "all-to-all algorithm");
    return;
  }
  node.allow_only({"dispatch", "combine"});
  plan.dispatch = node.at("dispatch").as_choice(names, "all-to-all algorithm");
  plan.combine = node.at("combine").as_choice(names, "all-to-all algorithm");
}

std::optional<RebalancePolicy> read_rebalance(const JsonNode& node, const WorkloadSpec& workload) {
  if (node.is_string()) {
    node.as_choice({"never"}, "rebalancing policy");
    return std::nullopt;
  }
  node.allow_only({"every", "threshold", "load_windows", "host_time", "layers_per_chunk"});
  if (workload.windows < 2)
    node.fail("rebalances between windows of the trace: workload.windows must be at least 2");
  RebalancePolicy policy;
  read_int(node, "every", policy.every, 1, 1000);
  read_int(node, "load_windows", policy.load_windows, 1, 1000);
  read_int(node, "layers_per_chunk", policy.layers_per_chunk, 1, 4096);
  if (const auto least = node.find("threshold")) policy.threshold = least->as_ratio(1, 1000);
  if (const auto host = node.find("host_time")) policy.host_time = host->as_seconds();
  return policy;
}

ReplicaChoice read_replica_choice(const JsonNode& node) {
  static const std::vector<std::string> names{"even", "nearest", "round_robin",
                                              "load_balanced"};  // in the enumeration's order
  const std::string name = node.as_choice(names, "replica choice");
  return static_cast<ReplicaChoice>(std::find(names.begin(), names.end(), name) - names.begin());
}

// Experts are dealt over a stage's ranks, unless the plan says otherwise.
void read_pipeline(const JsonNode& node, const MoeModel& model, Parallelism& sizes) {
  sizes.pipeline = static_cast<int>(node.as_int(1, kMostRanks));
  at_place(node, [&] {
    check_pipeline(sizes, model);
    return 0;
  });
  sizes.expert = sizes.stage_ranks();
}

ShardingPlan read_plan(const JsonNode& node, const MoeModel& model, const ClusterSpec& cluster) {
  node.allow_only({"expert_parallel", "tensor_parallel", "expert_tensor_parallel",
                   "pipeline_parallel", "context_parallel", "redundant_experts", "resident_experts",
                   "placement", "replica_choice", "all_to_all", "overlap", "max_tokens_per_rank",
                   "exchange_sms", "capacity_factor", "tensor_reduction", "precision", "rebalance",
                   "memory"});
  const int ranks = cluster.options.nodes * cluster.options.gpus_per_node;
  const int sms = load_accelerator(cluster.accelerator).sms;
  ShardingPlan plan;
  plan.parallelism = {ranks, ranks, 1};
  if (const auto stages = node.find("pipeline_parallel"))
    read_pipeline(*stages, model, plan.parallelism);
  read_int(node, "expert_parallel", plan.parallelism.expert, 1, kMostRanks);
  read_int(node, "tensor_parallel", plan.parallelism.tensor, 1, 1024);
  read_int(node, "context_parallel", plan.parallelism.context, 1, 1024);
  if (const auto split = node.find("expert_tensor_parallel")) {
    Parallelism& sizes = plan.parallelism;
    sizes.expert_tensor = sizes.feed_forward_tensor = static_cast<int>(split->as_int(1, 1024));
    if (!node.find("expert_parallel") && sizes.expert_tensor > 1) sizes.expert = 1;
  }
  read_int(node, "redundant_experts", plan.redundant_experts, 0, 1 << 16);
  read_int(node, "resident_experts", plan.resident_experts, 1, 1 << 16);
  read_int(node, "max_tokens_per_rank", plan.max_tokens_per_rank, 1, 1 << 20);
  if (const auto held = node.find("exchange_sms"))
    plan.exchange_sms =
        static_cast<int>(held->as_int(0, sms > 0 ? sms : kMostSms, {0, kMostSmsOfAny}));
  if (const auto factor = node.find("capacity_factor"))
    plan.capacity_factor = factor->as_ratio(0, 1000);
  if (const auto reduction = node.find("tensor_reduction")) {
    plan.tensor_reduction =
        reduction->as_choice({"scatter", "allreduce"}, "tensor reduction") == "allreduce"
            ? TensorReduction::allreduce
            : TensorReduction::scatter;
  }
  if (const auto choice = node.find("replica_choice"))
    plan.replica_choice = read_replica_choice(*choice);
  if (const auto all_to_all = node.find("all_to_all")) read_all_to_all(*all_to_all, plan);
  if (const auto overlap = node.find("overlap"))
    plan.overlap = overlap->as_choice(Catalog<OverlapPart>::instance().names(), "overlap schedule");
  plan.precision = read_precision(node.find("precision"), model);
  plan.memory = read_engine_memory(node.find("memory"));
  const auto split = node.find("expert_tensor_parallel");
  const auto expert = split ? split : node.find("expert_parallel");
  at_place(expert ? *expert : node, [&] {
    check_plan(plan, model);
    return 0;
  });
  return plan;
}

}  // namespace

std::string existing_path(const JsonNode& node, const std::string& folder) {
  std::string path = path_in(node, folder);
  if (!std::filesystem::exists(path)) node.fail("there is no file or folder " + path);
  return path;
}

std::string resolve_model(const std::string& name, const std::string& folder) {
  if (name == "reference") return data_path("workloads/reference/model");
  const bool as_it_is = !is_path(name) || name.starts_with('/') || folder.empty();
  return as_it_is ? name : folder + "/" + name;
}

std::string read_model(const JsonNode& node, const std::string& folder) {
  std::vector<std::string> names = model_names();
  names.emplace_back("reference");
  const std::string name = name_or_path(node, names);
  const std::string resolved = resolve_model(name, folder);
  if (is_path(name)) check_readable(node, resolved);
  return resolved;
}

Scenario load_scenario(const JsonNode& root, const std::string& file_folder) {
  std::vector<std::string> keys{"name", "model",  "shapes_from", "cluster", "workload",
                                "plan", "faults", "fidelity",    "seed",    "folder"};
  keys.insert(keys.end(), study_keys().begin(), study_keys().end());
  root.allow_only(keys);
  Scenario scenario;
  const std::string folder = folder_of(root, file_folder);
  const JsonNode model_node = root.at("model");
  const auto shapes = root.find("shapes_from");
  const JsonNode& shapes_node = shapes ? *shapes : model_node;
  if (const auto name = root.find("name")) scenario.name = name->as_string();
  read_model(model_node, folder);
  scenario.routed_by = model_node.json().get<std::string>();
  scenario.model = read_model(shapes_node, folder);
  scenario.repeat_trace_layers = shapes.has_value();
  const MoeModel model = at_place(shapes_node, [&] { return load_model(scenario.model); });
  const JsonNode workload = root.at("workload");
  scenario.workload = read_workload(workload);
  scenario.trace = read_trace_source(workload.at("trace"), scenario.routed_by, folder);
  if (const auto slo = workload.find("slo"))
    scenario.slo = read_service_level(*slo, scenario.workload.phase);
  scenario.cluster = read_cluster(root.at("cluster"));
  scenario.price = read_price(root.at("cluster"));
  scenario.plan = read_plan(root.at("plan"), model, scenario.cluster);
  if (scenario.workload.drafting.tokens > 0) {
    if (model.mtp_layers.empty())
      workload.at("multi_token_prediction").fail(model.name + " has no such module");
    scenario.plan.memory.mtp = true;  // the module that drafts is loaded
  }
  const auto expert = root.at("plan").find("expert_parallel");
  at_place(expert ? *expert : root.at("plan"), [&] {
    check_exchanges(scenario.plan, scenario.cluster.options.gpus_per_node);
    return 0;
  });
  if (const auto placement = root.at("plan").find("placement"))
    read_placement_choice(*placement, folder, model, scenario);
  if (const auto rebalance = root.at("plan").find("rebalance"))
    scenario.rebalance = read_rebalance(*rebalance, scenario.workload);
  if (const auto faults = root.find("faults"))
    scenario.faults = read_faults(*faults, scenario.plan.parallelism.ranks);
  if (const auto windows = workload.find("windows"); windows && !scenario.faults.empty())
    windows->fail("windows compare plans on a healthy pool; take out faults or windows");
  check_together(root, scenario);
  if (const auto fidelity = root.find("fidelity")) {
    std::vector<std::string> names = fidelity_names();
    names.emplace_back("auto");
    const std::string name = fidelity->as_choice(names, "fidelity");
    if (name != "auto") scenario.fidelity = parse_fidelity(name);
  }
  if (const auto seed = root.find("seed"))
    scenario.seed = static_cast<std::uint64_t>(seed->as_int(0, INT64_MAX));
  check_sizes(root, scenario);
  return scenario;
}

}  // namespace moesim
