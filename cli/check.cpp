// moesim check: reads a scenario with all its checks and says what would run, without running it.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "sim/scenario/scenario.h"

namespace moesim {
namespace {

void add_check(CLI::App& command) {
  const auto path = std::make_shared<std::string>();
  const auto overrides = std::make_shared<std::vector<std::string>>();
  command.add_option("scenario", *path, "scenario file (JSON)")->required();
  command.add_option("--set", *overrides, "override a key, as in run")->allow_extra_args(false);
  command.callback([path, overrides] {
    const Study study = load_study(*path, *overrides);
    fmt::print("{}: {} point{}\n", study.name, study.points.size(),
               study.points.size() == 1 ? "" : "s");
    for (const StudyPoint& point : study.points) {
      std::string line;
      for (const auto& [key, value] : point.varied) line += fmt::format("  {} = {}", key, value);
      if (!line.empty()) fmt::print("{}\n", line);
    }
  });
}

const Registered<Command> registered{
    "check", "Check a scenario file and list its points", {add_check}};

}  // namespace
}  // namespace moesim
