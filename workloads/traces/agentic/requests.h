// The requests of an agentic workload as drawn: their turns, and which text stands at every
// position of their context.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/trace/routing_trace.h"
#include "workloads/traces/agentic/description.h"

namespace moesim {

// A prompt from the user or a tool, and the model's answer to it.
struct AgenticTurn {
  std::int64_t prompt_tokens = 0;  // new ones; the first turn's begin with the system prompt
  std::int64_t output_tokens = 0;
  Seconds wait{0};  // since the turn before ended
  bool from_tool = false;
};

// Positions from `start` up to the next text's start. Texts of one number hold the same tokens: the
// system prompts of a kind share theirs.
struct AgenticText {
  std::int64_t start = 0;
  std::uint64_t number = 0;
  std::size_t domain = 0;
  Phase phase = Phase::prefill;  // decode: the model wrote it
};

struct AgenticRequest {
  std::size_t kind = 0;
  Seconds arrival{0};
  std::vector<AgenticTurn> turns;
  std::vector<AgenticText> texts;
  std::int64_t tokens = 0;  // where its context ends
  bool cut = false;         // turns were left out, or the first shortened, for max_context
};

// The same seed gives the same requests, each from its own stream. InputError when they hold more
// tokens than a trace has rows (2^31).
std::vector<AgenticRequest> draw_requests(const AgenticDescription& description,
                                          std::uint64_t seed);

}  // namespace moesim
