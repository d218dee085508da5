// A record of kind "memory" as a plan of this project.
#pragma once

#include <optional>

#include "sim/cluster/accelerator.h"
#include "sim/io/json_reader.h"
#include "sim/memory/served_plan.h"

namespace moesim {

struct RecordedMemory {
  MoeModel model;
  ServedSizes sizes;
  ShardingPlan plan;
  std::optional<Accelerator> accelerator;
};

// Whether a condition is there and not null.
bool states(const JsonNode& typed, const char* key);

// "model", "part", "accelerator", "ranks", "tp", "ep", "dp", "dtype", "layers" and "experts". A
// record with an accelerator is of an engine: SGLang where `tp` counts the ranks of all DP ranks,
// vLLM otherwise. InputError at a condition of a wrong type, or sizes that do not divide.
RecordedMemory read_memory_record(const JsonNode& typed);

}  // namespace moesim
