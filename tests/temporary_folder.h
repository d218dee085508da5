// A folder of a test's own.
#pragma once

#include <filesystem>
#include <iterator>

#include "sim/io/scratch_folder.h"

namespace moesim::test {

class TemporaryFolder : public ScratchFolder {
 public:
  std::size_t entries() const {
    const std::filesystem::directory_iterator begin(path());
    return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
  }
};

}  // namespace moesim::test
