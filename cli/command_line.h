// The line that made a report, to be typed again.
#pragma once

#include <string>
#include <vector>

#include "sim/scenario/readable_files.h"

namespace moesim {

// What decides a command's results; options that do not (--out, --jobs) are not for it.
struct CommandLine {
  std::string command, scenario;
  std::vector<std::string> options = {};  // its own, word by word
  std::vector<std::string> overrides = {};
  Outside outside = Outside::refused;
};

// "./moesim run scenarios/a.json --set 'vary={...}'": a word with more in it than names and paths
// have is quoted for a shell.
std::string to_text(const CommandLine& line);

}  // namespace moesim
