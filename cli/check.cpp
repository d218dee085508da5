// moesim check: reads a scenario with all its checks and says what would run, or all that is wrong.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/outside_option.h"
#include "sim/scenario/find_mistakes.h"

namespace moesim {
namespace {

struct CheckArguments {
  std::string scenario;
  std::vector<std::string> overrides;
  Outside outside = Outside::refused;
  bool json = false;
};

void print_points(const Study& study) {
  fmt::print("{}: {} point{}\n", study.name, study.points.size(),
             study.points.size() == 1 ? "" : "s");
  for (const StudyPoint& point : study.points) {
    std::string line;
    for (const auto& [key, value] : point.varied) line += fmt::format("  {} = {}", key, value);
    if (!line.empty()) fmt::print("{}\n", line);
  }
}

// A mistake in a file that the scenario names has that file's place.
void print_json(const std::vector<InputError>& mistakes) {
  nlohmann::json list = nlohmann::json::array();
  for (const InputError& mistake : mistakes) {
    const Location& place = mistake.origin();
    list.push_back({{"file", place.file},
                    {"line", place.line},
                    {"column", place.column},
                    {"key", place.key},
                    {"message", mistake.message()}});
  }
  fmt::print("{}\n", list.dump(1));
}

void check(const CheckArguments& arguments) {
  const CheckedFile checked =
      check_file(arguments.scenario, arguments.overrides, arguments.outside);
  if (arguments.json) {
    print_json(checked.mistakes);
    if (!checked.mistakes.empty()) throw CLI::RuntimeError(static_cast<int>(ExitCode::wrong_input));
    return;
  }
  std::string text;
  for (const InputError& mistake : checked.mistakes)
    text += fmt::format("{}{}", text.empty() ? "" : "\nmoesim: ", mistake.what());
  if (!text.empty()) throw InputError(text);
  if (checked.study)
    print_points(*checked.study);
  else
    fmt::print("{}: a training scenario without mistakes\n", arguments.scenario);
}

void add_check(CLI::App& command) {
  const auto arguments = std::make_shared<CheckArguments>();
  command.add_option("scenario", arguments->scenario, "scenario file (JSON)")->required();
  command.add_option("--set", arguments->overrides, "override a key, as in run")
      ->allow_extra_args(false);
  add_outside_option(command, arguments->outside);
  command.add_flag("--json", arguments->json,
                   "print the mistakes as a JSON array of {file, line, column, key, message}");
  command.footer("Example: moesim check scenarios/first_run.json");
  command.callback([arguments] { check(*arguments); });
}

const Registered<Command> registered{
    "check", "Check a scenario file: its points, or all its mistakes", {add_check}};

}  // namespace
}  // namespace moesim
