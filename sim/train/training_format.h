// What a training precision means for the kernels.
#pragma once

#include <string>

#include "sim/cost/part_work.h"

namespace moesim {

// bf16; fp8 and mxfp8: products in fp8, operands cast before; nvfp4: in fp4. InputError for any
// other name, with the nearest.
PartFormat training_format(const std::string& precision);

}  // namespace moesim
