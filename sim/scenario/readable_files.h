// What a scenario may make the program read: a file from a stranger names no other files of yours.
#pragma once

#include <memory>
#include <string>

#include "sim/io/json_path.h"

namespace moesim {

enum class Outside { refused, allowed };  // files that lie outside of what a scenario may read

// Of the scenario `root` in the file `path`: what lies in the file's folder, in the project's data,
// and, for a plan that `moesim search` has written, in the folder of the scenario it searched. That
// one is named by "folder", and counts while it is there with a "search" and the same name.
std::shared_ptr<const ReadableFolders> readable_files(const JsonNode& root,
                                                      const std::string& path);

}  // namespace moesim
