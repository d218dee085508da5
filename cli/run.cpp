// moesim run: scenario file -> study -> results -> summary, CSV and report.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/analysis.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/layer_range.h"
#include "cli/outside_option.h"
#include "cli/progress.h"
#include "sim/io/files.h"
#include "sim/scenario/study_axes.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

struct RunArguments {
  std::string scenario, out, shard;
  std::vector<std::string> overrides;
  int jobs = 0;
  Outside outside = Outside::refused;
  bool links = false, timeline = false, json = false;
  std::vector<int> timeline_ranks;
  std::string timeline_layers;
};

// "2/8": the second of eight runs that share the points.
Shard parse_shard(const std::string& text) {
  Shard shard;
  char slash = 0;
  std::istringstream words(text);
  words >> shard.index >> slash >> shard.count;
  if (!words || slash != '/' || words.peek() != EOF || text.find('-') != std::string::npos ||
      shard.index < 1 || shard.index > shard.count || shard.count > kMostPoints)
    throw InputError(fmt::format(
        "--shard {}: write it as i/n with i from 1 to n and n up to {}, as in --shard 2/8", text,
        kMostPoints));
  return shard;
}

// Ranks or layers alone mean a timeline too.
std::optional<TimelineChoice> timeline_choice(const RunArguments& arguments) {
  const bool wanted =
      arguments.timeline || !arguments.timeline_ranks.empty() || !arguments.timeline_layers.empty();
  if (!wanted) return std::nullopt;
  TimelineChoice choice;
  choice.ranks = arguments.timeline_ranks;
  if (arguments.timeline_layers.empty()) return choice;
  const auto [first, end] = read_layer_range(arguments.timeline_layers);
  choice.first_layer = first;
  if (end >= 0) choice.last_layer = end - 1;
  return choice;
}

void check_timeline_ranks(const RunOptions& options, const Study& study) {
  if (!options.timeline) return;
  for (const StudyPoint& point : study.points) {
    const int ranks = point.scenario.plan.parallelism.ranks;
    for (const int rank : options.timeline->ranks)
      if (rank < 0 || rank >= ranks)
        throw InputError(fmt::format("--ranks {}: the pool has ranks 0 to {}", rank, ranks - 1));
  }
}

RunOptions options_of(const RunArguments& arguments) {
  RunOptions options;
  options.out = arguments.out.empty()
                    ? "out/" + std::filesystem::path(arguments.scenario).stem().string()
                    : arguments.out;
  options.overrides = arguments.overrides;
  options.links = arguments.links;
  options.timeline = timeline_choice(arguments);
  options.jobs = jobs_or_cores(arguments.jobs);
  if (!arguments.shard.empty()) options.shard = parse_shard(arguments.shard);
  show_progress(options);
  return options;
}

void write(const StudyResult& result,
           const RunOptions& options,
           const std::string& command,
           double seconds) {
  write_file(options.out + "/study.csv", study_csv(result));
  if (const std::string repeats = repeats_csv(result); !repeats.empty())
    write_file(options.out + "/repeats.csv", repeats);
  write_file(options.out + "/report.html", html_report(result, command));
  const nlohmann::json timing{
      {"wall_seconds", seconds}, {"jobs", options.jobs}, {"points", result.points.size()}};
  write_file(options.out + "/run.json", timing.dump(1) + "\n");
}

void print(const StudyResult& result, const RunOptions& options, double seconds) {
  fmt::print("{}\n", terminal_summary(result, wants_colour(STDOUT_FILENO)));
  fmt::print("{:.1f} s. Pictures: {}/report.html  Table: {}/study.csv\n", seconds, options.out,
             options.out);
}

void run(const RunArguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  const RunOptions options = options_of(arguments);
  const Study study = load_study(arguments.scenario, arguments.overrides, arguments.outside);
  check_timeline_ranks(options, study);
  StudyRun study_run(study, options);
  study_run.compute();
  if (const std::size_t missing = options.shard ? study_run.lacking().size() : 0; missing > 0) {
    if (arguments.json)
      fmt::print("{}\n", nlohmann::json{{"points_elsewhere", missing},
                                        {"points_of_study", study.points.size()}}
                             .dump());
    else
      fmt::print("{} of {} points are still with other runs; the last of them writes the report.\n",
                 missing, study.points.size());
    return;
  }
  const StudyResult result = study_run.collect();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  write(result, options,
        to_text(CommandLine{"run", arguments.scenario, {}, arguments.overrides, arguments.outside}),
        wall.count());
  if (arguments.json)
    fmt::print("{}", study_json(result));
  else
    print(result, options, wall.count());
}

void add_run(CLI::App& command) {
  const auto arguments = std::make_shared<RunArguments>();
  command.add_option("scenario", arguments->scenario, "scenario file (JSON)")->required();
  command.add_option("--out", arguments->out,
                     "folder of the results (default: out/<scenario's name>)");
  command
      .add_option("--set", arguments->overrides,
                  "override a key: --set plan.placement=eplb (repeatable)")
      ->allow_extra_args(false);
  add_outside_option(command, arguments->outside);
  command.add_option("--jobs", arguments->jobs, "points at a time (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command.add_option("--shard", arguments->shard,
                     "i/n: share the points with other runs into the same folder, claiming one by "
                     "one; the last to end writes the report");
  command.add_flag("--links", arguments->links,
                   "also write points/<key>.links.csv: every link in every exchange");
  command.add_flag("--timeline", arguments->timeline,
                   "also write points/<key>.timeline.json: the first step, for ui.perfetto.dev");
  command
      .add_option("--ranks", arguments->timeline_ranks,
                  "of the timeline, as in 0,5,37 (default: all, or as many as fit in 45 MB)")
      ->delimiter(',');
  command.add_option("--layers", arguments->timeline_layers,
                     "of the timeline, as in 3:8 (default: all)");
  command.add_flag("--json", arguments->json, "print the summary as JSON");
  command.footer("Example: moesim run scenarios/first_run.json --set plan.redundant_experts=16");
  command.callback([arguments] { run(*arguments); });
}

const Registered<Command> registered{"run", "Run a scenario file and write its report", {add_run}};

}  // namespace
}  // namespace moesim
