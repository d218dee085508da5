// The "precision" of a scenario's plan.
#pragma once

#include <optional>

#include "sim/io/json_reader.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// Where nothing is said: weights as the checkpoint is published, rows and KV cache in bf16.
Precision read_precision(const std::optional<JsonNode>& node, const MoeModel& model);

}  // namespace moesim
