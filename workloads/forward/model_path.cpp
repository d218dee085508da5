// Names of models: the shipped one, folders, configurations.
#include "workloads/forward/model_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "sim/core/error.h"
#include "sim/io/files.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> shipped_models() {
  std::vector<std::string> names{"reference"};
  for (const fs::directory_entry& entry : fs::directory_iterator(data_path("workloads/models")))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string model_path(const std::string& name, bool random_weights) {
  if (name == "reference") return data_path("workloads/reference/model");
  if (fs::is_directory(name)) return name;
  if (!random_weights)
    throw InputError(fmt::format(
        "{} is no folder; give \"reference\", or a folder with config.json and weights", name));
  if (fs::is_regular_file(name)) return name;
  const std::vector<std::string> shipped = shipped_models();
  if (std::binary_search(shipped.begin(), shipped.end(), name))
    return data_path("workloads/models/" + name + ".json");
  throw InputError(fmt::format("{} is no folder, config.json or shipped model{}", name,
                               name_help(name, shipped)));
}

std::string model_label(const std::string& path) {
  fs::path whole = fs::absolute(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  if (whole.extension() == ".json" && !fs::is_directory(whole)) {
    if (whole.stem() != "config") return whole.stem().string();
    whole = whole.parent_path();
  }
  if (whole.filename() == "model") whole = whole.parent_path();
  return whole.filename().string();
}

std::unique_ptr<Tokenizer> find_tokenizer(const std::string& model_path) {
  const fs::path folder =
      fs::is_directory(model_path) ? fs::path(model_path) : fs::path(model_path).parent_path();
  const fs::path file = folder / "tokenizer.json";
  if (!fs::is_regular_file(file)) return nullptr;
  return std::make_unique<Tokenizer>(read_tokenizer_file(file.string()));
}

}  // namespace moesim
