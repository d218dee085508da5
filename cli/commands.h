// Every subcommand is one file that registers itself; its callback throws, main turns that into an
// exit code. What belongs to "moesim trace", "moesim forward", "moesim show" or
// "moesim topology" registers there.
#pragma once

#include <CLI/CLI.hpp>

#include "sim/core/catalog.h"

namespace moesim {

// add: adds the subcommand, named `name` and described as registered, with options and callback.
struct Command {
  void (*add)(CLI::App& command);
};
struct TraceCommand {
  void (*add)(CLI::App& command);
};
struct ForwardCommand {
  void (*add)(CLI::App& command);
};
struct ShowCommand {
  void (*add)(CLI::App& command);
};
struct TopologyCommand {
  void (*add)(CLI::App& command);
};

// Adds every registered subcommand of one kind to `app`, sorted by name.
template <class Kind>
void add_commands(CLI::App& app) {
  for (const auto& [name, entry] : Catalog<Kind>::instance().entries())
    entry.part.add(*app.add_subcommand(name, entry.description));
}

}  // namespace moesim
