// What may stand in a command line, taken from the program's own subcommands and options:
// completion scripts and the manual are made of it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace moesim {

enum class ArgumentKind { none, number, file, name };

struct ArgumentWords {
  std::vector<std::string> names;  // "-o", "--out"; of an argument by position its name alone
  std::string description;
  ArgumentKind kind = ArgumentKind::none;  // of its value; none = a flag
  std::vector<std::string> values;         // of ArgumentKind::name; a file may do too
  bool required = false, repeats = false;
};

struct CommandWords {
  std::string path;  // "trace forward"; empty for the program itself
  std::string description, footer;
  std::vector<std::string> subcommands;
  std::vector<ArgumentWords> options, positions;
};

// Every command from the program itself on, depth first. An option takes the names of the list that
// its description tells to look at ("moesim list models"), or those it is checked against.
std::vector<CommandWords> command_words(const CLI::App& program);

}  // namespace moesim
