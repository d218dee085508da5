// A scenario file and its overrides become the points of a study: the cross product of its axes.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/io/json_path.h"
#include "sim/scenario/load_faults.h"
#include "sim/scenario/load_scenario.h"
#include "sim/scenario/study_reader.h"

namespace moesim {
namespace {

// `key=value`: the value is JSON, or else taken as a bare word.
struct Override {
  std::string key, json;
};

Override read_override(const std::string& argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--set " + argument +
                     ": write it as key=value, as in --set plan.placement=eplb");
  }
  const std::string value = argument.substr(equals + 1);
  return {argument.substr(0, equals),
          nlohmann::json::accept(value) ? value : nlohmann::json(value).dump()};
}

std::string value_text(const JsonNode& value) {
  return value.is_string() ? value.as_string() : value.json().dump();
}

// All that decides whether a scenario's faults are possible: points that differ in other things
// need not be checked again.
std::string faulted_pool(const StudyPoint& point) {
  const Scenario& scenario = point.scenario;
  if (scenario.faults.empty()) return "";
  const nlohmann::json root = nlohmann::json::parse(point.canonical_json);
  const ShardingPlan& plan = scenario.plan;
  return root.at("faults").dump() + root.at("cluster").dump() + scenario.model + " " +
         std::to_string(plan.parallelism.expert) + " " + std::to_string(plan.parallelism.tensor) +
         " " + plan.dispatch + " " + plan.combine;
}

bool touches(const std::string& a, const std::string& b) {
  return a == b || a.starts_with(b + ".") || b.starts_with(a + ".");
}

// An axis would set its key again, and what was asked for would be lost without a word.
void refuse_spanned(const JsonNode& root, const std::vector<Override>& overrides) {
  for (const char* spanning : {"vary", "zip"}) {
    const auto axes = root.find(spanning);
    const auto given = [&](const Override& one) { return touches(one.key, spanning); };
    if (!axes || std::any_of(overrides.begin(), overrides.end(), given)) continue;
    for (const std::string& axis : axes->keys()) {
      for (const auto& [key, json] : overrides) {
        if (!touches(axis, key)) continue;
        nlohmann::json narrowed = axes->json();
        narrowed[axis] = nlohmann::json::array({nlohmann::json::parse(json)});
        throw InputError(
            fmt::format("--set {}={}: the scenario's \"{}\" sets {} at every point; say there what "
                        "you want, as in --set '{}={}'",
                        key, json, spanning, axis, spanning, narrowed.dump()));
      }
    }
  }
}

}  // namespace

JsonNode read_study_file(const std::string& path,
                         const std::vector<std::string>& overrides,
                         Outside outside) {
  JsonNode root = read_json_file(path);
  if (outside == Outside::refused) root = guarded(root, readable_files(root, path));
  std::vector<Override> read;
  for (const std::string& argument : overrides) {
    read.push_back(read_override(argument));
    root = root.with(read.back().key, read_json_text(read.back().json, "--set " + argument));
  }
  refuse_spanned(root, read);
  return root;
}

StudyReader::StudyReader(const std::string& path,
                         const std::vector<std::string>& overrides,
                         Outside outside)
    : StudyReader(path, read_study_file(path, overrides, outside)) {}

StudyReader::StudyReader(std::string path, JsonNode root)
    : path_(std::move(path)), root_(std::move(root)), axes_(read_study_axes(root_)) {
  for (const StudyAxis& axis : axes_) size_ *= axis.values.size();
}

std::vector<std::pair<std::string, std::string>> StudyReader::set(std::size_t index,
                                                                  JsonNode& varied) const {
  std::vector<std::pair<std::string, std::string>> values;
  std::size_t rest = index;
  for (std::size_t a = axes_.size(); a-- > 0;) {
    const StudyAxis& axis = axes_[a];
    const std::vector<JsonNode>& step = axis.values[rest % axis.values.size()];
    rest /= axis.values.size();
    for (std::size_t k = axis.keys.size(); k-- > 0;) {
      varied = varied.with(axis.keys[k], step[k]);
      values.insert(values.begin(), {axis.keys[k], value_text(step[k])});
    }
  }
  return values;
}

std::vector<std::pair<std::string, std::string>> StudyReader::values(std::size_t index) const {
  JsonNode varied = root_;
  return set(index, varied);
}

StudyPoint StudyReader::point(std::size_t index) const {
  StudyPoint point;
  JsonNode varied = root_;
  point.varied = set(index, varied);
  point.scenario = load_scenario(varied, std::filesystem::path(path_).parent_path().string());
  point.scenario.file = path_;
  nlohmann::json canonical = varied.json();
  for (const std::string& key : study_keys()) canonical.erase(key);
  for (auto entry = canonical.begin(); entry != canonical.end();)  // comments decide nothing
    entry = entry.key().starts_with("_") ? canonical.erase(entry) : std::next(entry);
  point.canonical_json = canonical.dump();
  return point;
}

Study load_study(const std::string& path,
                 const std::vector<std::string>& overrides,
                 Outside outside) {
  return load_study(path, read_study_file(path, overrides, outside));
}

Study load_study(const std::string& path, const JsonNode& root) {
  const StudyReader reader(path, root);
  Study study;
  study.file = path;
  std::set<std::string> checked;  // pools whose faults are known to be possible
  for (std::size_t i = 0; i < reader.size(); ++i) {
    study.points.push_back(reader.point(i));
    const StudyPoint& point = study.points.back();
    if (checked.insert(faulted_pool(point)).second) check_faults(point.scenario);
  }
  study.name = study.points.front().scenario.name;
  if (study.name.empty()) study.name = std::filesystem::path(path).stem().string();
  return study;
}

}  // namespace moesim
