// moesim compare: placement strategies on one trace and one cluster, planned on its first part and
// judged in windows of the rest.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "analysis/analysis.h"
#include "analysis/report/bake_off_text.h"
#include "analysis/report/text_table.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/measured_file.h"
#include "cli/outside_option.h"
#include "cli/progress.h"
#include "sim/io/files.h"
#include "sim/plan/placement.h"
#include "sim/plan/placement_file.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

constexpr int kWindows = 20;  // where neither the command nor the scenario says

struct CompareArguments {
  std::string scenario, out;
  std::vector<std::string> strategies, overrides;
  std::string measured;
  int windows = 0, jobs = 0;
  Outside outside = Outside::refused;
  bool json = false;
};

// All strategies, the scenario's own first: it stands for the plan in use.
std::vector<std::string> every_strategy(const CompareArguments& arguments) {
  std::vector<std::string> names = Catalog<PlacementPart>::instance().names();
  const Study own = load_study(arguments.scenario, arguments.overrides, arguments.outside);
  const auto found =
      std::find(names.begin(), names.end(), own.points.front().scenario.plan.placement_strategy);
  if (found != names.end()) std::rotate(names.begin(), found, found + 1);
  return names;
}

// What the strategies and windows are to the scenario: more overrides.
std::vector<std::string> all_overrides(const CompareArguments& arguments) {
  const std::vector<std::string> names =
      arguments.strategies.empty() ? every_strategy(arguments) : arguments.strategies;
  std::vector<std::string> overrides = arguments.overrides;
  overrides.push_back("vary=" + nlohmann::json{{"plan.placement", names}}.dump());
  const int own = load_study(arguments.scenario, arguments.overrides, arguments.outside)
                      .points.front()
                      .scenario.workload.windows;
  const int windows = arguments.windows > 0 ? arguments.windows : own > 0 ? own : kWindows;
  overrides.push_back(fmt::format("workload.windows={}", windows));
  return overrides;
}

std::vector<Placement> placements_of(const PointResult& point) {
  std::vector<Placement> placements;
  for (const std::vector<int>& experts : point.placement) {
    placements.emplace_back();
    for (std::size_t slot = 0; slot < experts.size(); ++slot) {
      placements.back().replica_of.push_back(LogicalExpert{experts[slot]});
      placements.back().rank_of.push_back(
          id_of<Rank>(slot * static_cast<std::size_t>(point.group_ranks) / experts.size()));
    }
  }
  return placements;
}

void write_placements(const StudyResult& result, const std::string& folder) {
  make_folder(folder);
  for (const PointResult& point : result.points) {
    if (point.placement.empty()) continue;
    PlacementOrigin origin;
    origin.strategy = point.label;
    origin.experts = static_cast<int>(point.expert_load.front().size());
    origin.ranks = point.group_ranks;
    origin.layer_ids = point.expert_load_layers;
    write_file(folder + "/" + point.varied.front().second + ".json",
               placement_text(placements_of(point), origin, PlacementFormat::sglang));
  }
}

std::vector<double> planning_seconds(const StudyResult& result, const std::string& out) {
  std::vector<double> seconds;
  for (const PointResult& point : result.points) {
    const std::string file = wall_file(out + "/points/" + point.key + ".json");
    const nlohmann::json wall = std::filesystem::exists(file)
                                    ? nlohmann::json::parse(read_text_file(file), nullptr, false)
                                    : nlohmann::json();
    seconds.push_back(wall.is_object() ? wall.value("planning_seconds", 0.0) : 0.0);
  }
  return seconds;
}

void print(const StudyResult& result,
           const std::vector<double>& planning,
           const std::vector<std::string>& measured) {
  constexpr std::size_t kWidth = 120;
  const BakeOffTable table = bake_off_table(bake_off_rows(result, planning));
  std::vector<TextColumn> columns;
  for (const std::string& head : table.heads)
    columns.push_back({head, columns.empty() ? std::size_t{20} : std::size_t{8}, !columns.empty()});
  fmt::print("{}\n\n{}\n", result.name, text_table(columns, table.rows));
  for (const PointResult& point : result.points)
    if (!point.ran) fmt::print("{} did not run: {}\n", point.label, point.memory.verdict);
  for (const std::string& line : bake_off_lines(result))
    for (const std::string& part : wrapped(line, kWidth)) fmt::print("{}\n", part);
  if (!measured.empty()) fmt::print("\n");
  for (const std::string& line : measured) fmt::print("{}\n", line);
}

// The plan in use is the first.
std::vector<std::string> measured_words(const StudyResult& result,
                                        const std::vector<MeasuredPoint>& measured) {
  if (measured.empty()) return {};
  const PointResult& in_use = result.points.front();
  std::vector<std::string> lines = measured_lines(in_use, measured);
  for (const PointResult& other : result.points)
    if (&other != &in_use && other.ran) lines.push_back(change_line(in_use, other, measured));
  return lines;
}

std::string command_of(const CompareArguments& arguments) {
  CommandLine line{"compare", arguments.scenario, {}, arguments.overrides, arguments.outside};
  if (!arguments.strategies.empty())
    line.options = {"--strategies", fmt::format("{}", fmt::join(arguments.strategies, ","))};
  if (arguments.windows > 0)
    line.options.insert(line.options.end(), {"--windows", std::to_string(arguments.windows)});
  return to_text(line);
}

void compare(const CompareArguments& arguments) {
  const std::vector<MeasuredPoint> measured =
      arguments.measured.empty() ? std::vector<MeasuredPoint>{} : read_measured(arguments.measured);
  RunOptions options;
  options.overrides = all_overrides(arguments);
  const Study study = load_study(arguments.scenario, options.overrides, arguments.outside);
  options.out =
      arguments.out.empty()
          ? "out/" + std::filesystem::path(arguments.scenario).stem().string() + "_compare"
          : arguments.out;
  options.jobs = jobs_or_cores(arguments.jobs);
  show_progress(options);
  const StudyResult result = run_study(study, options);
  write_placements(result, options.out + "/placements");
  write_file(options.out + "/study.csv", study_csv(result));
  write_file(options.out + "/report.html", html_report(result, command_of(arguments)));
  const std::vector<double> planning = planning_seconds(result, options.out);
  const std::vector<std::string> words = measured_words(result, measured);
  if (arguments.json) {
    fmt::print("{}", bake_off_json(result, planning, words));
    return;
  }
  print(result, planning, words);
  fmt::print("\nPictures: {0}/report.html  Placements to deploy: {0}/placements/\n", options.out);
}

void add_compare(CLI::App& command) {
  const auto arguments = std::make_shared<CompareArguments>();
  command.add_option("scenario", arguments->scenario, "scenario file (JSON)")->required();
  command
      .add_option(
          "--strategies", arguments->strategies,
          "placement strategies of `moesim list placements`, the one in use first (default: all)")
      ->delimiter(',');
  command
      .add_option("--windows", arguments->windows,
                  "parts of the trace to judge in, in order (default: the scenario's, else 20)")
      ->check(CLI::Range(1, 1000));
  command.add_option("--measured", arguments->measured,
                     "measured points of the plan in use: a CSV with metric,value "
                     "(step_time,12.3 ms)");
  command.add_option("--out", arguments->out,
                     "folder of the results (default: out/<scenario's name>_compare)");
  command
      .add_option("--set", arguments->overrides,
                  "override a key: --set workload.planning_share=0.3 (repeatable)")
      ->allow_extra_args(false);
  add_outside_option(command, arguments->outside);
  command.add_option("--jobs", arguments->jobs, "strategies at a time (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--json", arguments->json, "print the table and the verdicts as JSON");
  command.footer("Example: moesim compare scenarios/first_run.json --strategies contiguous,eplb");
  command.callback([arguments] { compare(*arguments); });
}

const Registered<Command> registered{
    "compare", "Compare placement strategies over windows of a trace", {add_compare}};

}  // namespace
}  // namespace moesim
