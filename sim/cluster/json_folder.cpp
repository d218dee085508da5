// Names and paths of a folder's JSON entries.
#include "sim/cluster/json_folder.h"

#include <algorithm>
#include <filesystem>

#include "sim/core/error.h"
#include "sim/io/files.h"

namespace moesim {

std::vector<std::string> json_names(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(data_path(folder))) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string json_path(const std::string& folder,
                      const std::string& name_or_path,
                      const std::string& kind) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json"))
    return name_or_path;
  std::string path = data_path(folder) + "/" + name_or_path + ".json";
  if (!std::filesystem::exists(path))
    throw InputError("unknown " + kind + " \"" + name_or_path + "\"" +
                     name_help(name_or_path, json_names(folder)));
  return path;
}

}  // namespace moesim
