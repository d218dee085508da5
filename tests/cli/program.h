// Runs the built program as a user would, and gives tests a folder of their own.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>

#include "sim/io/files.h"
#include "tests/source_dir.h"
#include "tests/temporary_folder.h"

namespace moesim::test {

struct Outcome {
  int code = 0;
  std::string output;  // standard output and error together
};

inline Outcome run_command(const std::string& line) {
  std::FILE* pipe = ::popen(line.c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t read = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), read);
  }
  outcome.code = WEXITSTATUS(::pclose(pipe));
  return outcome;
}

inline std::string program_line(const std::string& arguments) {
  // The program lies beside the tests: a path compiled in would keep build folders from sharing
  // compiled objects.
  static const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "moesim").string();
  return program + " " + arguments;
}

// `prefix` goes before the program's path in the shell's line ("ulimit -f 8; ").
inline Outcome run_program(const std::string& arguments, const std::string& prefix = "") {
  return run_command(prefix + program_line(arguments) + " 2>&1 </dev/null");
}

// Standard output alone, as a program that reads it sees it.
inline Outcome run_for_output(const std::string& arguments) {
  return run_command(program_line(arguments) + " 2>/dev/null </dev/null");
}

inline const std::string kFirstRun = test::source_dir() + "/scenarios/first_run.json";

}  // namespace moesim::test
