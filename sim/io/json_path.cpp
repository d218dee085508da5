// Paths are compared with all their symlinks resolved, as far as they exist.
#include "sim/io/json_path.h"

#include <algorithm>
#include <filesystem>

#include "sim/io/files.h"
#include "sim/io/json_document.h"

namespace moesim {

namespace fs = std::filesystem;

std::string resolved_path(const std::string& path) {
  std::error_code failed;
  const fs::path whole = fs::weakly_canonical(fs::absolute(path), failed);
  return failed ? path : whole.string();
}

bool ReadableFolders::holds(const std::string& path) const {
  const std::string whole = resolved_path(path);
  return std::any_of(roots.begin(), roots.end(), [&](const std::string& root) {
    return whole == root || root == "/" || whole.starts_with(root + "/");
  });
}

JsonNode JsonDocument::guarded(const JsonNode& root,
                               std::shared_ptr<const ReadableFolders> readable) {
  const auto document = copy_of(root);
  document->readable = std::move(readable);
  return root_of(document);
}

JsonNode JsonDocument::opened(const JsonNode& node, const std::string& path) {
  JsonNode root = read_json_file(path);
  return node.document_->readable ? guarded(root, node.document_->readable) : root;
}

const ReadableFolders* JsonDocument::readable_by(const JsonNode& node) {
  return node.document_->readable.get();
}

JsonNode guarded(const JsonNode& root, std::shared_ptr<const ReadableFolders> readable) {
  return JsonDocument::guarded(root, std::move(readable));
}

void check_readable(const JsonNode& node, const std::string& path) {
  const ReadableFolders* readable = JsonDocument::readable_by(node);
  if (readable == nullptr || node.where().file.starts_with("--set ")) return;
  const auto check = [&](const std::string& one) {
    if (readable->holds(one)) return;
    std::string folders;
    for (const std::string& root : readable->roots) folders += (folders.empty() ? "" : ", ") + root;
    node.fail("is " + resolved_path(one) + ", outside of what a scenario may read (" + folders +
              "); --allow-outside lets it");
  };
  check(path);
  std::error_code no_folder;
  for (const auto& entry : fs::directory_iterator(path, no_folder))
    if (entry.is_symlink()) check(entry.path().string());
}

std::string path_in(const JsonNode& node, const std::string& folder) {
  std::string path = node.as_string();
  const bool as_it_is =
      path.starts_with('/') || folder.empty() || node.where().file.starts_with("--set ");
  if (!as_it_is) path = folder + "/" + path;
  check_readable(node, path);
  return path;
}

bool is_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".json");
}

std::string name_or_path(const JsonNode& node, const std::vector<std::string>& names) {
  tell_accepted(node, {{"enum", names}});
  tell_accepted(node, {{"type", "string"}, {"pattern", R"(/|\.json$)"}});
  if (!node.is_string()) node.fail("must be a string, not " + node.json().dump());
  return node.json().get<std::string>();
}

JsonNode open_json(const JsonNode& node, const std::string& path) {
  return JsonDocument::opened(node, path);
}

}  // namespace moesim
