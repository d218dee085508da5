// moesim forward: runs and checks forward passes; each subcommand is a forward_*.cpp.
#include "cli/commands.h"

namespace moesim {
namespace {

void add_forward(CLI::App& command) {
  command.require_subcommand(1);
  command.footer("Example: moesim forward random deepseek-v3 --layers 2:4");
  add_commands<ForwardCommand>(command);
}

const Registered<Command> registered{
    "forward", "Run and check forward passes of MoE models", {add_forward}};

}  // namespace
}  // namespace moesim
