// A scenario file and its overrides become the points of a study: the cross product of the axes in
// `vary`.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/io/files.h"
#include "sim/scenario/load_faults.h"
#include "sim/scenario/load_scenario.h"

namespace moesim {
namespace {

constexpr std::size_t kMostPoints = 100000;

struct Axis {
  std::string key;
  std::vector<JsonNode> values;
};

// `key=value`: the value is JSON, or else taken as a bare word.
JsonNode apply_override(const JsonNode& root, const std::string& argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--set " + argument +
                     ": write it as key=value, as in --set plan.placement=eplb");
  }
  const std::string value = argument.substr(equals + 1);
  const std::string text = nlohmann::json::accept(value) ? value : nlohmann::json(value).dump();
  return root.with(argument.substr(0, equals), read_json_text(text, "--set " + argument));
}

std::vector<Axis> read_axes(const JsonNode& root) {
  std::vector<Axis> axes;
  const auto vary = root.find("vary");
  if (!vary) return axes;
  for (const std::string& key : vary->keys()) {
    Axis axis{key, vary->at(key).items()};
    if (axis.values.empty()) vary->at(key).fail("an axis needs at least one value");
    axes.push_back(std::move(axis));
  }
  return axes;
}

std::string value_text(const JsonNode& value) {
  return value.is_string() ? value.as_string() : value.json().dump();
}

// All that decides whether a scenario's faults are possible: points that differ in other things
// need not be checked again.
std::string faulted_pool(const JsonNode& root, const Scenario& scenario) {
  if (scenario.faults.empty()) return "";
  const ShardingPlan& plan = scenario.plan;
  return root.at("faults").json().dump() + root.at("cluster").json().dump() + scenario.model + " " +
         std::to_string(plan.parallelism.expert) + " " + std::to_string(plan.parallelism.tensor) +
         " " + plan.dispatch + " " + plan.combine;
}

}  // namespace

Study load_study(const std::string& path, const std::vector<std::string>& overrides) {
  JsonNode root = read_json_file(path);
  for (const std::string& argument : overrides) root = apply_override(root, argument);
  const std::vector<Axis> axes = read_axes(root);
  std::size_t points = 1;
  for (const Axis& axis : axes) {
    points *= axis.values.size();
    if (points > kMostPoints)
      root.at("vary").fail("spans more than " + std::to_string(kMostPoints) + " points");
  }
  Study study;
  study.file = path;
  std::set<std::string> checked;  // pools whose faults are known to be possible
  const std::string folder = std::filesystem::path(path).parent_path().string();
  for (std::size_t i = 0; i < points; ++i) {
    StudyPoint point;
    JsonNode varied = root;
    std::size_t rest = i;
    for (std::size_t a = axes.size(); a-- > 0;) {  // the last axis runs fastest
      const JsonNode& value = axes[a].values[rest % axes[a].values.size()];
      rest /= axes[a].values.size();
      varied = varied.with(axes[a].key, value);
      point.varied.insert(point.varied.begin(), {axes[a].key, value_text(value)});
    }
    point.scenario = load_scenario(varied, folder);
    point.scenario.file = path;
    if (const std::string pool = faulted_pool(varied, point.scenario); checked.insert(pool).second)
      check_faults(point.scenario);
    nlohmann::json canonical = varied.json();
    canonical.erase("vary");
    point.canonical_json = canonical.dump();
    study.points.push_back(std::move(point));
  }
  study.name = study.points.front().scenario.name;
  if (study.name.empty()) study.name = std::filesystem::path(path).stem().string();
  return study;
}

}  // namespace moesim
