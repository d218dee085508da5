// A folder of the project's data where every <name>.json is one entry of a kind.
#pragma once

#include <string>
#include <vector>

namespace moesim {

std::vector<std::string> json_names(const std::string& folder);  // without ".json", sorted

// The file of entry `name_or_path`; what holds a slash or ends in ".json" is a path already.
// InputError with the nearest name and all names; `kind` is the word for the message.
std::string json_path(const std::string& folder,
                      const std::string& name_or_path,
                      const std::string& kind);

}  // namespace moesim
