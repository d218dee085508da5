// The lines of a benchmark's log without what terminals and launchers put around them, and a
// scanner that reads one of them. No regular expressions: a log has lines of any length, and
// std::regex takes a stack frame a character.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"

namespace moesim {

struct LogLine {
  int number = 0;      // from 1
  std::string source;  // who printed it, by its launcher: "[1,3]<stdout>", "worker-0"; may be empty
  std::string text;
};

// Without colour codes, carriage returns, time stamps, and the prefixes of mpirun --tag-output,
// srun -l, torchrun, kubectl, docker compose and Ray.
std::vector<LogLine> log_lines(const std::string& text);

// The parts of a line that begin with `mark`: several, where processes printed into one line.
std::vector<LogLine> parts_at(const LogLine& line, std::string_view mark);

std::string_view trimmed(std::string_view text);  // without blanks at both ends

// Reads a line from left to right; blanks before what is asked for are passed over.
class LineScanner {
 public:
  LineScanner(const std::string& path, const LogLine& line) : path_(path), line_(line) {}

  bool skip(std::string_view words);    // passes them if they come next
  void expect(std::string_view words);  // InputError where they do not come next
  bool at_end();
  std::string_view rest();                 // trimmed
  double number(const std::string& what);  // >= 0 and finite, else InputError
  int count(const std::string& what);      // 0 to 10^9, else InputError
  [[noreturn]] void fail(const std::string& message) const;
  Location where() const { return {path_, line_.number}; }

 private:
  std::string next_word() const;
  void pass_blanks();

  const std::string& path_;
  const LogLine& line_;
  std::size_t at_ = 0;
};

}  // namespace moesim
