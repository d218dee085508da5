// moesim worker: runs points of a study that `moesim run` names on standard input, each in a
// process of its own that writes its result by rename.
#include <unistd.h>

#include <memory>

#include "cli/commands.h"
#include "sim/study/worker_pool.h"

namespace moesim {
namespace {

struct WorkerArguments {
  std::string scenario;
  std::vector<std::string> overrides;
  int threads = 2;
};

void add_worker(CLI::App& command) {
  const auto arguments = std::make_shared<WorkerArguments>();
  command.add_option("scenario", arguments->scenario, "scenario file")->required();
  command.add_option("--set", arguments->overrides, "as given to run")->allow_extra_args(false);
  command.add_option("--threads", arguments->threads, "threads that walk paths and count tokens")
      ->check(CLI::Range(1, 1024));
  command.footer(
      "Example: moesim worker scenarios/first_run.json --threads 2, with points on standard input");
  command.callback([arguments] {
    serve_points(arguments->scenario, arguments->overrides, arguments->threads, STDIN_FILENO);
  });
}

const Registered<Command> registered{
    "worker", "Run points of a study (started by run)", {add_worker}};

}  // namespace
}  // namespace moesim
