// The test program's main: doctest's own. And the one file that knows where the project lies.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/source_dir.h"

namespace moesim::test {

const std::string& source_dir() {
  static const std::string folder = MOESIM_SOURCE_DIR;
  return folder;
}

}  // namespace moesim::test
