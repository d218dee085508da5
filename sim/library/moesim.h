// moesim as a library: run a scenario file and read what it found. It needs nothing but the C++
// library to be included.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace moesim {

struct RunSettings {
  std::string out;  // folder for results, kept and used again; empty = one that is removed after
  std::vector<std::string> overrides;  // "key=value", as --set
  int jobs = 0;                        // worker processes; 0 = one a core
};

struct Figure {
  double value = 0, low = 0, high = 0;  // low to high: where the truth is expected to lie
  std::string unit;                     // "s", "B", "1" for a ratio
  std::string basis;                    // what it rests on, "calibrated" for example
};

struct PointFigures {
  std::string label;                          // the varied values: "eplb, nodes 4"
  std::map<std::string, std::string> varied;  // key -> value
  bool ran = false;                           // false: it does not fit memory, and has few figures
  std::string memory;                         // the ledger's verdict
  std::map<std::string, Figure> metrics;      // "step_time", "tokens_per_second_per_gpu", ...
  std::vector<std::string> notes;             // assumptions, and what is unproven
};

struct Result {
  std::string name;
  std::vector<PointFigures> points;  // in the study's order
};

// what() is the program's message. exit_code is the program's: 1 a check failed, 2 the input is
// wrong, 3 the machine lacks something.
class RunError : public std::runtime_error {
 public:
  RunError(int code, const std::string& message) : std::runtime_error(message), exit_code(code) {}
  int exit_code;
};

// Runs every point of a scenario file in worker processes: the installed `moesim`, or the program
// that the environment variable MOESIM_PROGRAM names. The simulation engine never runs in the
// calling process. Topologies and other parts of one's own come as shared objects that
// MOESIM_PLUGINS names (docs/library.md). Throws RunError.
Result run(const std::string& scenario_file, const RunSettings& settings = {});

}  // namespace moesim
