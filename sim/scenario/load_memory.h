// The "memory" of a scenario's plan.
#pragma once

#include <optional>

#include "sim/io/json_reader.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// {"engine", "fraction", "page_tokens", "fragmentation", "mtp", "prefill_chunk", "max_requests"}:
// EngineMemory. Without an engine a key that only an engine has is refused.
EngineMemory read_engine_memory(const std::optional<JsonNode>& node);

}  // namespace moesim
