// The key workload.trace.synthetic of a scenario.
#pragma once

#include <string>

#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// `like` (a shipped profile) or `profile` (a path, from `folder` on), tokens, domains (a mix, or a
// list of mixes with `at`), prompt_tokens, answer_tokens, seed. The shape is that of `model`'s MoE
// layers. InputError at the value that is wrong.
SyntheticSource read_synthetic(const JsonNode& node,
                               const MoeModel& model,
                               const std::string& folder);

}  // namespace moesim
