// moesim trace diff: whether two traces are the same, and by how much their routing differs.
#include <fmt/format.h>

#include <memory>
#include <thread>

#include "analysis/metrics/trace_diff_text.h"
#include "cli/commands.h"

namespace moesim {
namespace {

struct DiffArguments {
  std::string a, b;
  bool json = false;
};

void print_difference(const DiffArguments& arguments) {
  const RoutingTrace a = open_trace(arguments.a), b = open_trace(arguments.b);
  const TraceDifference difference =
      diff_traces({arguments.a, a}, {arguments.b, b},
                  static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  fmt::print("{}", arguments.json ? diff_json(difference, arguments.a, arguments.b)
                                  : diff_text(difference, arguments.a, arguments.b));
  std::fflush(stdout);
  if (!difference.identical()) throw CheckError(arguments.a + " and " + arguments.b + " differ");
}

void add_diff(CLI::App& command) {
  const auto arguments = std::make_shared<DiffArguments>();
  command.add_option("a", arguments->a, "trace file")->required();
  command.add_option("b", arguments->b, "trace file")->required();
  command.add_flag("--json", arguments->json, "print the figures as one JSON object");
  command.footer(
      "Exit codes: 0 identical, 1 they differ, 2 one is no trace.\n"
      "Example: moesim trace diff before.safetensors after.safetensors");
  command.callback([arguments] { print_difference(*arguments); });
}

const Registered<TraceCommand> registered{
    "diff", "Compare two traces: first differences, changed choices, load distance", {add_diff}};

}  // namespace
}  // namespace moesim
