// Imports fixtures and texts in tests.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/source_dir.h"
#include "workloads/traces/importer.h"

namespace moesim::test {

inline const std::string kImports = test::source_dir() + "/tests/data/imports/";

// A file to import, made of a text that must live as long.
inline ImportFile import_file(const std::string& name, const std::string& text) {
  return {name, std::as_bytes(std::span<const char>(text.data(), text.size()))};
}
ImportFile import_file(const std::string& name, std::string&& text) = delete;

// Imports fixtures by what they look like (or as `format`) and checks the laws of a trace.
inline RoutingTrace import_fixtures(const std::vector<std::string>& names,
                                    const ImportOptions& options = {},
                                    const std::string& format = "") {
  std::vector<MappedFile> mapped;
  std::vector<ImportFile> files;
  mapped.reserve(names.size());
  files.reserve(names.size());
  for (const std::string& name : names) {
    mapped.emplace_back(kImports + name);
    files.push_back({name, mapped.back().bytes()});
  }
  return make_trace(import_trace(files, format, options).columns);
}

inline RoutingTrace import_text(const std::string& format,
                                const std::string& text,
                                const ImportOptions& options = {}) {
  const std::vector<ImportFile> files{import_file("a file", text)};
  return make_trace(import_trace(files, format, options).columns);
}

// The message an import of the text is refused with, "" when it is not.
inline std::string import_refusal(const std::string& format,
                                  const std::string& text,
                                  const ImportOptions& options = {}) {
  try {
    import_text(format, text, options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

inline bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

inline bool notes_say(const RoutingTrace& trace, const std::string& part) {
  for (const std::string& note : trace.header.notes)
    if (says(note, part)) return true;
  return false;
}

template <class T>
std::vector<int> ints(std::span<const T> column) {
  return {column.begin(), column.end()};
}

// Token copies of one MoE layer by expert, over rows [begin, end).
inline std::vector<std::int64_t> loads_of(const RoutingTrace& trace,
                                          std::size_t moe_layer,
                                          std::size_t begin,
                                          std::size_t end) {
  std::vector<std::int64_t> loads(static_cast<std::size_t>(trace.header.experts), 0);
  for (std::size_t row = begin; row < end; ++row)
    for (const std::uint16_t expert : trace.choice(row, moe_layer))
      if (expert != kNotRouted) ++loads[expert];
  return loads;
}

}  // namespace moesim::test
