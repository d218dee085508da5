// Parts from outside the tree: shared objects that register themselves when they are loaded.
#pragma once

#include <string>
#include <vector>

namespace moesim {

// The files that the environment variable MOESIM_PLUGINS names, parted by colons. Empty when unset.
std::vector<std::string> plugin_files();

// Loads them; a second call does nothing. InputError with the linker's reason for one that cannot
// be.
void load_plugins();

}  // namespace moesim
