// moesim trace: what makes, changes and shows routing traces; each subcommand is a trace_*.cpp.
#include "cli/commands.h"

namespace moesim {
namespace {

void add_trace(CLI::App& command) {
  command.require_subcommand(1);
  command.footer("Example: moesim trace stats trace.safetensors");
  add_commands<TraceCommand>(command);
}

const Registered<Command> registered{
    "trace", "Make, change and inspect routing traces", {add_trace}};

}  // namespace
}  // namespace moesim
