// How a configuration says its checkpoint stores weights.
#pragma once

#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"

namespace moesim {

// Sets expert_format, dense_format and attention_format from torch_dtype (or dtype) and
// quantization_config: fp8 with 128 x 128 blocks or none, mxfp4 (experts alone), compressed-tensors
// (int4 in groups, fp8, nvfp4, mxfp4), awq, gptq, modelopt and bitnet. What its list of exceptions
// names stays as torch_dtype says. A scale of fp8 counts four bytes, also where scale_fmt keeps it
// to powers of two. InputError at the key of anything else.
void read_formats(const JsonNode& config, MoeModel& model);

}  // namespace moesim
