// moesim topology: what makes fabrics out of other programs' files; each subcommand is a
// topology_*.cpp.
#include "cli/commands.h"

namespace moesim {
namespace {

void add_topology(CLI::App& command) {
  command.require_subcommand(1);
  command.footer("Example: moesim topology import node.txt --out node.json");
  add_commands<TopologyCommand>(command);
}

const Registered<Command> registered{
    "topology", "Make topologies from other programs' files", {add_topology}};

}  // namespace
}  // namespace moesim
