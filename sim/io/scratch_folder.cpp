#include "sim/io/scratch_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "sim/core/error.h"

namespace moesim {

namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() : path_((fs::temp_directory_path() / "moesim_XXXXXX").string()) {
  if (::mkdtemp(path_.data()) == nullptr)
    throw MachineError("cannot make a temporary folder " + path_);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace moesim
