// Where the project's data lies; apart from files.cpp because the source folder is compiled in.
#include <array>
#include <cstdlib>
#include <filesystem>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/program_path.h"

namespace moesim {
namespace {

// <prefix>/share/moesim beside <prefix>/bin/moesim, wherever the prefix was moved.
std::string installed_folder() {
  const std::filesystem::path program = program_path();
  return (program.parent_path().parent_path() / "share/moesim").string();
}

std::array<std::string, 3> roots() {
  const char* configured = std::getenv("MOESIM_DATA");
  return {configured == nullptr ? "" : configured, MOESIM_SOURCE_DIR, installed_folder()};
}

}  // namespace

std::vector<std::string> data_folders() {
  std::vector<std::string> folders;
  for (const std::string& root : roots())
    if (!root.empty() && std::filesystem::exists(root)) folders.push_back(root);
  return folders;
}

std::string data_path(const std::string& relative) {
  std::string tried;
  for (const std::string& root : roots()) {
    if (root.empty()) continue;
    const std::filesystem::path path = std::filesystem::path(root) / relative;
    if (std::filesystem::exists(path)) return path.string();
    if (!tried.empty()) tried += ", ";
    tried += root;
  }
  throw MachineError("the project's data " + relative + " is in none of: " + tried +
                     "; set MOESIM_DATA to the folder that holds topologies/ and workloads/");
}

}  // namespace moesim
