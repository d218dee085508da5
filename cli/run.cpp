// moesim run: scenario file -> study -> results -> summary, CSV and report.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/analysis.h"
#include "cli/commands.h"
#include "sim/io/files.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

struct RunArguments {
  std::string scenario, out;
  std::vector<std::string> overrides;
  int jobs = 0;
  bool links = false;
};

bool wants_colour() { return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr; }

void run(const RunArguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  const Study study = load_study(arguments.scenario, arguments.overrides);
  RunOptions options;
  options.out = arguments.out.empty()
                    ? "out/" + std::filesystem::path(arguments.scenario).stem().string()
                    : arguments.out;
  options.overrides = arguments.overrides;
  options.links = arguments.links;
  options.jobs = arguments.jobs > 0
                     ? arguments.jobs
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  options.say = [](const std::string& line) { fmt::print(stderr, "  {}\n", line); };
  const StudyResult result = run_study(study, options);
  write_file(options.out + "/study.csv", study_csv(result));
  write_file(options.out + "/report.html", html_report(result));
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  const nlohmann::json timing{
      {"wall_seconds", wall.count()}, {"jobs", options.jobs}, {"points", result.points.size()}};
  write_file(options.out + "/run.json", timing.dump(1) + "\n");
  fmt::print("{}\n", terminal_summary(result, wants_colour()));
  fmt::print("{:.1f} s. Pictures: {}/report.html  Table: {}/study.csv\n", wall.count(), options.out,
             options.out);
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
  command.add_option("--jobs", arguments->jobs, "points at a time (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--links", arguments->links,
                   "also write points/<key>.links.csv: every link in every exchange");
  command.footer("Example: moesim run scenarios/first_run.json --set plan.redundant_experts=16");
  command.callback([arguments] { run(*arguments); });
}

const Registered<Command> registered{"run", "Run a scenario file and write its report", {add_run}};

}  // namespace
}  // namespace moesim
