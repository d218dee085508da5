// moesim show: pictures and facts without a run; each subcommand is a show_*.cpp.
#include "cli/commands.h"

namespace moesim {
namespace {

void add_show(CLI::App& command) {
  command.require_subcommand(1);
  command.footer("Example: moesim show topology h100-ib");
  add_commands<ShowCommand>(command);
}

const Registered<Command> registered{
    "show", "Show what a scenario names, without running it", {add_show}};

}  // namespace
}  // namespace moesim
