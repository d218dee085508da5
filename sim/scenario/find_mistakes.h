// All mistakes of a scenario file at once, where loading it stops at the first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/scenario/scenario.h"

namespace moesim {

struct CheckedFile {
  std::vector<InputError> mistakes;  // in the order of the file, then those of --set
  std::optional<Study> study;        // where there are none, unless the file is one for training
};

// Loads the file, and after each mistake loads it again with that one mended: an unknown key gets
// the name nearest to it or goes, a value becomes what may have been meant, goes where it may be
// missing, or is what a sample has there (sim/scenario/schema). What is wrong only because of a
// mend is left out: a mistake is one that no other value of the file could make right, or that is
// found, word for word, with other mends too. A file that is no JSON has one mistake.
CheckedFile check_file(const std::string& path,
                       const std::vector<std::string>& overrides,
                       Outside outside);

}  // namespace moesim
