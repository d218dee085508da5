// A plugin leaves the program's symbols undefined: it shares catalogs with whoever loads it.
#include "sim/io/plugins.h"

#include <dlfcn.h>

#include <cstdlib>
#include <sstream>

#include "sim/core/error.h"

namespace moesim {

std::vector<std::string> plugin_files() {
  const char* named = std::getenv("MOESIM_PLUGINS");
  std::vector<std::string> files;
  std::istringstream parts(named == nullptr ? "" : named);
  for (std::string file; std::getline(parts, file, ':');)
    if (!file.empty()) files.push_back(file);
  return files;
}

void load_plugins() {
  static const bool loaded = [] {
    for (const std::string& file : plugin_files()) {
      // Without a slash the linker would look in its own folders alone.
      const std::string path = file.find('/') == std::string::npos ? "./" + file : file;
      if (::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr)
        throw InputError("MOESIM_PLUGINS: cannot load " + file + ": " + ::dlerror());
    }
    return true;
  }();
  static_cast<void>(loaded);
}

}  // namespace moesim
