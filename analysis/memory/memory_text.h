// What `moesim memory` prints.
#pragma once

#include <string>

#include "sim/memory/memory_estimate.h"

namespace moesim {

struct MemoryReport {
  const MoeModel& model;
  const Accelerator& accelerator;
  const ShardingPlan& plan;
  const ServedLoad& load;
  const MemoryEstimate& estimate;
};

// The plan in a line, the fullest rank by kind, what its KV cache holds, what breaks first and what
// changes would bring.
std::string memory_text(const MemoryReport& report);

// The same as JSON; sizes in bytes.
std::string memory_json(const MemoryReport& report);

}  // namespace moesim
