// Where the program `moesim` lies, for whoever runs workers or looks for installed data.
#pragma once

#include <string>

namespace moesim {

// Of this process where the code is part of its program; of a process that uses the library: what
// the environment variable MOESIM_PROGRAM names, else the program installed with the library.
// MachineError where there is none.
const std::string& program_path();

// The same to be started: of this process's own program the very one that runs, though its file may
// have been replaced.
std::string worker_program();

}  // namespace moesim
