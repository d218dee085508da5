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

struct Override {
  std::string key, json;
};

// `key=value`: the value is JSON, or else taken as a bare word.
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

// An axis would set its key again, and what was asked for would be lost without a word.
void refuse_lost(const Override& asked, const JsonNode& axes, const std::string& spanning) {
  for (const std::string& axis : axes.keys()) {
    if (axis != asked.key && !asked.key.starts_with(axis + ".")) continue;
    std::string hint = "change the axis in place of it";
    if (axis == asked.key && spanning == "vary") {
      nlohmann::json narrowed = axes.json();
      narrowed[axis] = nlohmann::json::array({nlohmann::json::parse(asked.json)});
      hint = fmt::format("narrow the axis, as in --set 'vary={}'", narrowed.dump());
    }
    axes.at(axis).fail(fmt::format("sets {} at every point, so that --set {}={} would be lost; {}",
                                   axis, asked.key, asked.json, hint));
  }
}

// Of two settings the later one counts: an axis that is given after its key is what was asked for.
void refuse_spanned(const JsonNode& root, const std::vector<Override>& overrides) {
  for (const std::string spanning : {"vary", "zip"}) {
    const auto axes = root.find(spanning);
    if (!axes) continue;
    const auto given = std::find_if(overrides.rbegin(), overrides.rend(),
                                    [&](const Override& one) { return one.key == spanning; });
    for (auto asked = given.base(); asked != overrides.end(); ++asked)
      refuse_lost(*asked, *axes, spanning);
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
