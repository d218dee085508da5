// The dynamic linker knows which file this code was loaded from.
#include "sim/io/program_path.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "sim/core/error.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

const char kHere = 0;  // an address in this file's program or library

std::string beside_library(const fs::path& library) {
  fs::path folder = library.parent_path();
  if (fs::exists(folder / "moesim")) return (folder / "moesim").string();  // of a build
  for (; folder.has_relative_path(); folder = folder.parent_path())
    if (fs::exists(folder / "bin/moesim")) return (folder / "bin/moesim").string();
  throw MachineError("no program moesim belongs to " + library.string() +
                     "; set MOESIM_PROGRAM to one of the same version");
}

// The library that this code was loaded from; empty where it is part of the program.
fs::path own_library() {
  Dl_info info{};
  if (::dladdr(&kHere, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code unknown;
  const fs::path file = fs::weakly_canonical(info.dli_fname, unknown);
  return file.filename().string().find(".so") == std::string::npos ? fs::path() : file;
}

std::string find_program() {
  std::error_code unknown;
  const fs::path library = own_library();
  if (library.empty()) return fs::read_symlink("/proc/self/exe", unknown).string();
  const char* named = std::getenv("MOESIM_PROGRAM");
  return named != nullptr && *named != '\0' ? named : beside_library(library);
}

}  // namespace

const std::string& program_path() {
  static const std::string path = find_program();
  return path;
}

std::string worker_program() { return own_library().empty() ? "/proc/self/exe" : program_path(); }

}  // namespace moesim
