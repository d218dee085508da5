// What the tests of log readers share: the logs of tests/calibrate/logs/, and texts as logs.
#pragma once

#include <algorithm>
#include <string>

#include "sim/calibrate/log_reader.h"
#include "sim/io/files.h"
#include "tests/source_dir.h"
#include "tests/temporary_folder.h"

namespace moesim::test {

inline std::string log_path(const std::string& name) {
  return source_dir() + "/tests/calibrate/logs/" + name;
}

inline std::string log_text(const std::string& name) { return read_text_file(log_path(name)); }

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("the log lacks " + from);
  for (; at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

inline LogConditions on_h100() {
  LogConditions given;
  given.accelerator = "H100";
  return given;
}

inline BenchmarkLog read_text(const std::string& text, const LogConditions& given = on_h100()) {
  const TemporaryFolder folder;
  write_file(folder / "x.log", text);
  return read_log(folder / "x.log", given);
}

// The message of the InputError, from the file's name on: "x.log:3: ..."; empty: none was thrown.
inline std::string refusal(const std::string& text, const LogConditions& given = on_h100()) {
  try {
    read_text(text, given);
  } catch (const InputError& error) {
    const std::string what = error.what();
    return what.substr(std::min(what.find("x.log"), what.size()));
  }
  return "";
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline bool notes_hold(const BenchmarkLog& log, const std::string& part) {
  return std::any_of(log.notes.begin(), log.notes.end(),
                     [&](const std::string& note) { return holds(note, part); });
}

}  // namespace moesim::test
