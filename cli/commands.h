// Every subcommand is one file that adds itself to the program; its callback throws, main turns
// that into an exit code.
#pragma once

#include <CLI/CLI.hpp>

namespace moesim {

void add_run(CLI::App& app);    // cli/run.cpp: a scenario in, an answer with pictures out
void add_check(CLI::App& app);  // cli/check.cpp: reads a scenario and says what it would run
void add_trace(CLI::App& app);  // cli/trace.cpp: routing traces: forward, stats
void add_list(CLI::App& app);   // cli/list.cpp: the parts and data the program knows
void add_worker(
    CLI::App& app);  // cli/worker.cpp: one point of a study; started by run, not by people

}  // namespace moesim
