// moesim worker: runs one point of a study in a process of its own and writes its result by rename.
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "sim/io/files.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

struct WorkerArguments {
  std::string scenario, trace, out, links;
  std::vector<std::string> overrides;
  std::size_t point = 0;
  int threads = 2;
};

void work(const WorkerArguments& arguments) {
  const Study study = load_study(arguments.scenario, arguments.overrides);
  if (arguments.point >= study.points.size()) {
    throw InputError("--point " + std::to_string(arguments.point) + ": the study has " +
                     std::to_string(study.points.size()) + " points, counted from 0");
  }
  const PointResult result =
      run_point(study.points[arguments.point], arguments.trace, arguments.threads, arguments.links);
  if (!result.windows.empty())  // times of this machine stay out of results
    write_file(wall_file(arguments.out),
               nlohmann::json{{"planning_seconds", result.planning_seconds}}.dump(1) + "\n");
  write_file(arguments.out, to_json(result).dump(1) + "\n");
}

void add_worker(CLI::App& command) {
  const auto arguments = std::make_shared<WorkerArguments>();
  command.add_option("scenario", arguments->scenario, "scenario file")->required();
  command.add_option("--point", arguments->point, "index of the point, from 0");
  command.add_option("--trace", arguments->trace, "trace file the point replays")->required();
  command.add_option("--out", arguments->out, "file of the point's result")->required();
  command.add_option("--links", arguments->links, "file for a table of every link and exchange");
  command.add_option("--set", arguments->overrides, "as given to run")->allow_extra_args(false);
  command.add_option("--threads", arguments->threads, "threads that count tokens")
      ->check(CLI::Range(1, 1024));
  command.callback([arguments] { work(*arguments); });
}

const Registered<Command> registered{
    "worker", "Run one point of a study (started by run)", {add_worker}};

}  // namespace
}  // namespace moesim
