// Finds the reader of a log by its words.
#include "sim/calibrate/log_reader.h"

#include <fmt/format.h>

#include "sim/io/files.h"

namespace moesim {
namespace {

std::string known_benchmarks() {
  std::string text;
  for (const auto& [name, entry] : Catalog<LogReader>::instance().entries())
    text += (text.empty() ? "" : "; ") + name + ": " + entry.description;
  return text;
}

}  // namespace

BenchmarkLog read_log(const std::string& path, const LogConditions& given) {
  const std::string text = read_text_file(path);
  const LogReader* reader = nullptr;
  std::string reader_name;
  for (const auto& [name, entry] : Catalog<LogReader>::instance().entries()) {
    if (!entry.part.recognises(text)) continue;
    if (reader != nullptr)
      throw InputError(fmt::format(
          "{}: reads as the log of two benchmarks, {} and {}; give each a file of its own", path,
          reader_name, name));
    reader = &entry.part;
    reader_name = name;
  }
  if (reader == nullptr)
    throw InputError(path + ": no benchmark's output in it. Known: " + known_benchmarks());
  return reader->read(path, text, given);
}

}  // namespace moesim
