// The project's own source files as text, for the tests that keep the architecture.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/source_dir.h"

namespace moesim::test {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

inline bool starts_with_folder(const std::string& path, const std::string& folder) {
  return path == folder || path.rfind(folder + "/", 0) == 0;
}

inline bool in_any(const std::string& path, const std::vector<std::string>& folders) {
  return std::any_of(folders.begin(), folders.end(),
                     [&](const auto& folder) { return starts_with_folder(path, folder); });
}

struct Include {
  std::string name;
  bool quoted = false;  // "..." is ours, <...> is a library's
};

struct Source {
  std::string path;  // from the project's root
  Lines lines;
  std::vector<Include> includes;
};

inline Lines read_lines(const fs::path& path) {
  std::ifstream file(path);
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

inline std::vector<Include> includes_of(const Lines& lines) {
  std::vector<Include> includes;
  for (const std::string& line : lines) {
    std::istringstream words(line);
    std::string directive, name;
    words >> directive >> name;
    if (directive == "#include" && name.size() > 2)
      includes.push_back({name.substr(1, name.size() - 2), name.front() == '"'});
  }
  return includes;
}

// Every source file below the code folders whose extension is listed, sorted by path.
inline std::vector<Source> read_sources(const std::set<std::string>& extensions) {
  const fs::path root = test::source_dir();
  std::vector<Source> sources;
  for (const char* folder :
       {"analysis", "bench", "cli", "sim", "tests", "topologies", "workloads"}) {
    if (!fs::exists(root / folder)) continue;
    for (auto entry = fs::recursive_directory_iterator(root / folder);
         entry != fs::recursive_directory_iterator(); ++entry) {
      if (entry->path().filename() == "node_modules") entry.disable_recursion_pending();
      if (!entry->is_regular_file() || extensions.count(entry->path().extension()) == 0) continue;
      Source source{fs::relative(entry->path(), root).string(), read_lines(entry->path()), {}};
      source.includes = includes_of(source.lines);
      sources.push_back(std::move(source));
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.path < b.path; });
  return sources;
}

inline std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

}  // namespace moesim::test
