// The option by which a scenario may name files anywhere; alike in every command that reads one.
#pragma once

#include <CLI/CLI.hpp>

#include "sim/scenario/readable_files.h"

namespace moesim {

// `outside` outlives the parsing.
inline void add_outside_option(CLI::App& command, Outside& outside) {
  command.add_flag_function(
      "--allow-outside",
      [&outside](std::int64_t times) {
        if (times > 0) outside = Outside::allowed;
      },
      "let the scenario name files outside of its folder and the project's data");
}

}  // namespace moesim
