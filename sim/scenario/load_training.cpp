// Reads a training scenario.
#include "sim/scenario/load_training.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "sim/plan/all_to_all.h"
#include "sim/plan/placement.h"
#include "sim/scenario/at_place.h"
#include "sim/scenario/load_cluster.h"
#include "sim/scenario/load_objectives.h"
#include "sim/scenario/load_scenario.h"
#include "sim/scenario/study_reader.h"
#include "sim/train/pipeline.h"
#include "sim/train/training_format.h"

namespace moesim {
namespace {

constexpr int kMost = 1 << 20;

void read_count(const JsonNode& node, const char* key, int& into) {
  if (const auto value = node.find(key)) into = static_cast<int>(value->as_int(1, kMost));
}

void read_flag(const JsonNode& node, const char* key, bool& into) {
  if (const auto value = node.find(key)) into = value->as_bool();
}

void read_name(const JsonNode& node,
               const char* key,
               const std::vector<std::string>& valid,
               std::string& into) {
  if (const auto value = node.find(key)) into = value->as_choice(valid, key);
}

// Loads of the experts in the MoE layer whose heaviest rank is the median of all layers'.
std::vector<double> median_load(const RoutingTrace& trace, std::size_t ranks) {
  std::vector<std::uint32_t> rows(trace.tokens());
  std::iota(rows.begin(), rows.end(), 0U);
  std::vector<std::vector<double>> layers = expert_load(trace, rows);
  const auto heaviest = [&](const std::vector<double>& load) {
    const std::size_t held = std::max<std::size_t>(1, load.size() / ranks);
    double most = 0;
    for (std::size_t first = 0; first + held <= load.size(); first += held)
      most = std::max(
          most, std::accumulate(load.begin() + static_cast<std::ptrdiff_t>(first),
                                load.begin() + static_cast<std::ptrdiff_t>(first + held), 0.0));
    return most;
  };
  const auto middle = layers.begin() + static_cast<std::ptrdiff_t>(layers.size() / 2);
  std::nth_element(layers.begin(), middle, layers.end(),
                   [&](const auto& a, const auto& b) { return heaviest(a) < heaviest(b); });
  return *middle;
}

void read_routing(const JsonNode& node,
                  const std::string& folder,
                  const MoeModel& model,
                  TrainingPlan& plan) {
  if (!node.is_object()) {
    plan.balanced = node.as_choice({"random", "even"}, "routing") == "even";
    return;
  }
  node.allow_only({"trace"});
  const JsonNode path = node.at("trace");
  const RoutingTrace trace = open_trace(existing_path(path, folder), TraceCheck::header);
  if (trace.header.experts != model.experts || trace.moe_layers() == 0)
    path.fail("the trace has " + std::to_string(trace.header.experts) + " experts, the model " +
              std::to_string(model.experts));
  plan.expert_load = median_load(trace, static_cast<std::size_t>(plan.expert));
}

void read_workload(const JsonNode& node, TrainingPlan& plan) {
  node.allow_only({"phase", "sequence", "micro_batch", "global_batch", "routing", "skew_exponent"});
  node.at("phase").as_choice({"training"}, "phase of a training scenario");
  read_count(node, "sequence", plan.sequence);
  read_count(node, "micro_batch", plan.micro_batch);
  plan.global_batch = static_cast<int>(node.at("global_batch").as_int(1, kMost));
  if (const auto skew = node.find("skew_exponent")) plan.skew_exponent = skew->as_ratio(0, 8);
}

void read_plan(const JsonNode& node, TrainingPlan& plan) {
  node.allow_only({"expert_parallel", "tensor_parallel", "pipeline", "virtual_stages", "schedule",
                   "all_to_all", "precision", "recompute", "overlap", "capacity_factor", "mtp",
                   "captured"});
  read_count(node, "expert_parallel", plan.expert);
  read_count(node, "tensor_parallel", plan.tensor);
  read_count(node, "pipeline", plan.pipeline);
  read_count(node, "virtual_stages", plan.virtual_stages);
  read_name(node, "schedule", Catalog<SchedulePart>::instance().names(), plan.schedule);
  read_name(node, "all_to_all", Catalog<AllToAllPart>::instance().names(), plan.all_to_all);
  read_name(node, "precision", training_precision_names(), plan.precision);
  std::string recompute = "off";
  read_name(node, "recompute", recompute_names(), recompute);
  plan.recompute = recompute_named(recompute);
  read_flag(node, "overlap", plan.overlap);
  read_flag(node, "mtp", plan.mtp);
  read_flag(node, "captured", plan.captured);
  if (const auto factor = node.find("capacity_factor"))
    plan.capacity_factor = factor->as_ratio(0, 1000);
}

// A mistake that names a key is shown at that key's place, where the file has it.
void check(const JsonNode& root, const TrainingScenario& scenario) {
  try {
    check_training(scenario.plan, scenario.model, load_accelerator(scenario.cluster.accelerator));
  } catch (const InputError& error) {
    const std::string text = error.what();
    const std::string key = text.substr(0, text.find(": "));
    for (const char* part : {"plan", "workload"})
      if (const auto found = root.at(part).find(key)) found->fail(text.substr(key.size() + 2));
    root.at("plan").fail(text);
  }
}

}  // namespace

TrainingScenario load_training(const std::string& path, Outside outside) {
  return load_training(read_study_file(path, {}, outside), path);
}

TrainingScenario load_training(const JsonNode& root, const std::string& path) {
  root.allow_only({"name", "model", "cluster", "workload", "plan"});
  const std::string folder = std::filesystem::path(path).parent_path().string();
  TrainingScenario scenario;
  scenario.file = path;
  if (const auto name = root.find("name")) scenario.name = name->as_string();
  const JsonNode model = root.at("model");
  scenario.model = at_place(model, [&] { return load_model(read_model(model, folder)); });
  scenario.cluster = read_cluster(root.at("cluster"));
  scenario.price = read_price(root.at("cluster"));
  const TopologyOptions& options = scenario.cluster.options;
  scenario.plan.ranks = options.nodes * options.gpus_per_node;
  read_workload(root.at("workload"), scenario.plan);
  read_plan(root.at("plan"), scenario.plan);
  if (const auto routing = root.at("workload").find("routing"))
    read_routing(*routing, folder, scenario.model, scenario.plan);
  check(root, scenario);
  return scenario;
}

}  // namespace moesim
