// Requests into steps: continuous batching with a token budget and a prefix cache on every rank.
#pragma once

#include <cstdint>
#include <vector>

#include "workloads/traces/agentic/requests.h"

namespace moesim {

// What one rank does for one request in one step. The tokens stand at positions context ..
// context + new_tokens of the request.
struct AgenticEntry {
  std::int32_t step = 0, rank = 0, request = 0;  // steps in which something runs, from 0
  std::int32_t context = 0, new_tokens = 1;
  Phase phase = Phase::decode;
};

struct AgenticSchedule {
  std::vector<AgenticEntry> entries;  // by step, then rank, then the order of the rank's batch
  std::int32_t steps = 0;
  std::int64_t prompt_tokens = 0;  // summed over turns, each with the whole context before it
  std::int64_t cached_tokens = 0;  // of them, found in a prefix cache
};

// A request belongs to one rank from its arrival on: the one with the fewest unfinished requests
// (the lowest of them). A rank's step takes running requests in the order they were admitted,
// those that decode first (a token each), then those in prefill (as much of the prompt as the
// budget leaves), then admits waiting turns in the order they came. All ranks step together, every
// step_time; with nothing to run the clock goes on to the next turn. Every output token is one
// decode entry: it is run through the model, so that the next turn finds it in the cache.
AgenticSchedule schedule_requests(const AgenticDescription& description,
                                  const std::vector<AgenticRequest>& requests);

}  // namespace moesim
