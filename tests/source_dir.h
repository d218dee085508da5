// Where the project's own files lie. A function, not a macro: one object file knows the folder, so
// that the others are the same in every clone and a compiler cache can share them.
#pragma once

#include <string>

namespace moesim::test {

const std::string& source_dir();  // no slash at the end

}  // namespace moesim::test
