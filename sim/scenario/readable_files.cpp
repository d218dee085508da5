// Folders by what the scenario's own place and origin are.
#include "sim/scenario/readable_files.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sim/io/files.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

// A "folder" that names the scenario which was searched: no search of that name stands in a
// folder by chance.
bool was_searched(const JsonNode& root, const std::string& named) {
  if (!fs::is_regular_file(named) || !named.ends_with(".json")) return false;
  try {
    const JsonNode origin = read_json_file(named);
    const auto name = [](const JsonNode& file) {
      return file.has("name") ? file.at("name").json() : nlohmann::json();
    };
    return origin.has("search") && name(origin) == name(root);
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace

std::shared_ptr<const ReadableFolders> readable_files(const JsonNode& root,
                                                      const std::string& path) {
  const auto readable = std::make_shared<ReadableFolders>();
  readable->roots.push_back(resolved_path(fs::absolute(path).parent_path().string()));
  for (const std::string& folder : data_folders()) readable->roots.push_back(resolved_path(folder));
  if (!root.is_object()) return readable;
  const auto origin = root.find("folder");
  if (origin && origin->is_string()) {
    const auto named = origin->json().get<std::string>();
    if (was_searched(root, named))
      readable->roots.push_back(resolved_path(fs::path(named).parent_path().string()));
  }
  return readable;
}

}  // namespace moesim
