// Paths in JSON files: where they start, and what a file may make the program read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

// Absolute, with symlinks and ".." resolved as far as it exists.
std::string resolved_path(const std::string& path);

// Folders and files, symlinks resolved; a file may name what lies in one of them.
struct ReadableFolders {
  std::vector<std::string> roots;

  bool holds(const std::string& path) const;  // `path` with its own symlinks and ".." resolved
};

// `root`'s document, whose paths must lie in `readable` (path_in), and so those in documents
// opened from it; with() keeps that.
JsonNode guarded(const JsonNode& root, std::shared_ptr<const ReadableFolders> readable);

// The path that `node` names: from `folder`, or, given by --set, from where the user is. InputError
// where the node's document may not read that; a value of --set may read anything.
std::string path_in(const JsonNode& node, const std::string& folder);

// As path_in for a `path` that was worked out from `node`. Of a folder, links in it count too.
void check_readable(const JsonNode& node, const std::string& path);

// A string that is one of `names`, or a path if it has a "/" or ends in ".json". Does not check it.
std::string name_or_path(const JsonNode& node, const std::vector<std::string>& names);
bool is_path(const std::string& name);

// The JSON file at `path`, which `node` names; its paths are held to the same folders.
JsonNode open_json(const JsonNode& node, const std::string& path);

}  // namespace moesim
