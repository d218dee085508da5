// A name, or an object that says where a placement lies.
#include "sim/scenario/load_placement.h"

#include <filesystem>

#include "sim/plan/placement.h"
#include "sim/plan/placement_file.h"
#include "sim/scenario/load_scenario.h"

namespace moesim {
namespace {

std::string checked_file(const JsonNode& node,
                         const std::string& folder,
                         const MoeModel& model,
                         const ShardingPlan& plan) {
  std::string path = existing_path(node, folder);
  const auto experts = static_cast<int>(model.experts);
  read_placement(path, {experts, experts + plan.redundant_experts, plan.parallelism.expert});
  return path;
}

}  // namespace

void read_placement_choice(const JsonNode& node,
                           const std::string& folder,
                           const MoeModel& model,
                           Scenario& scenario) {
  ShardingPlan& plan = scenario.plan;
  const auto choose = [&](const JsonNode& name) {
    plan.placement_strategy =
        name.as_choice(Catalog<PlacementPart>::instance().names(), "placement");
  };
  if (!node.is_object()) return choose(node);
  node.allow_only({"file", "strategy", "previous"});
  const auto file = node.find("file"), strategy = node.find("strategy"),
             previous = node.find("previous");
  if (file.has_value() == strategy.has_value()) node.fail("needs \"file\" or \"strategy\"");
  if (strategy) choose(*strategy);
  if (previous && file) previous->fail("is for a strategy to look at; a \"file\" has none");
  if (previous) scenario.previous_placement = checked_file(*previous, folder, model, plan);
  if (!file) return;
  scenario.placement_file = checked_file(*file, folder, model, plan);
  plan.placement_strategy = std::filesystem::path(scenario.placement_file).filename().string();
}

}  // namespace moesim
