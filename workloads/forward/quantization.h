// What config.json may say about the stored format of the weights. The tensors themselves tell the
// format (stored_tensors.h); this refuses schemes whose tensors would be read wrongly or not at
// all.
#pragma once

#include "workloads/forward/config_reader.h"

namespace moesim {

// Reads quantization_config. Implemented: fp8 (E4M3 weights, blocks of 128 x 128 or one scale a row
// or tensor), mxfp4, and compressed-tensors with format pack-quantized (4-bit integers, symmetric,
// one scale a group, order unchanged). How a server quantises activations changes nothing here: the
// reference multiplies float32 by the weights' values. InputError at the key and value of anything
// else.
void check_quantization(ConfigReader& config);

}  // namespace moesim
