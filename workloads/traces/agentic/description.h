// An agentic workload as a user describes it in JSON: kinds of requests with turns, tools, domains
// and lengths, how they arrive, and how the server batches them. docs/traces.md, "Agentic
// workloads", says how it is expanded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/units.h"
#include "sim/io/json_reader.h"

namespace moesim {

// A length or count; in JSON a whole number, {"lognormal": {"median", "sigma"}},
// {"geometric": {"mean"}} (1, 2, ...) or {"uniform": {"from", "to"}} (both ends drawn).
struct CountSpec {
  enum class Kind { fixed, lognormal, geometric, uniform };
  Kind kind = Kind::fixed;
  double a = 1,
         b = 0;  // fixed: value; lognormal: median, sigma; geometric: mean; uniform: from, to
  std::int64_t least = 0;  // what is drawn is rounded and not let below
};

// A waiting time; in JSON "2 s", {"lognormal": {"median": "2 s", "sigma"}} or
// {"exponential": {"mean": "2 s"}}.
struct WaitSpec {
  enum class Kind { fixed, lognormal, exponential };
  Kind kind = Kind::fixed;
  Seconds center{0};
  double sigma = 0;
};

struct DomainShare {
  std::size_t domain = 0;  // index into AgenticDescription::domains
  double share = 0;        // of 1
};

// A tool the model calls: its result is a prompt of the tool's domain.
struct ToolSpec {
  std::string name;
  double share = 0;  // of the kind's tool calls
  std::size_t domain = 0;
  CountSpec result_tokens;
  WaitSpec wait;  // from the call's last token to the result
};

struct RequestKind {
  std::string name;
  double share = 0;                  // of the requests
  std::vector<DomainShare> domains;  // the request's domain is drawn from these
  double topic_change = 0;           // probability that a later user turn draws its domain anew
  std::size_t system_domain = 0;     // of the system prompt
  std::int64_t system_prompt = 0;    // tokens that every request of the kind begins with
  CountSpec turns;                   // user turns
  CountSpec user_tokens, output_tokens;
  CountSpec tool_calls;  // a user turn; each adds a turn whose prompt is the tool's result
  std::vector<ToolSpec> tools;
  WaitSpec think;  // from an answer to the user's next turn
};

struct AgenticDescription {
  std::string name;
  std::vector<std::string> domains;
  std::vector<RequestKind> kinds;
  std::int64_t requests = 0;
  Seconds mean_gap{0};  // between arrivals, exponential (a Poisson process); 0 = all at once
  int ranks = 1;        // data-parallel ranks
  std::int64_t tokens_per_step = 8192;       // of one rank
  std::int64_t requests_per_rank = 256;      // running at once
  Seconds step_time{0.05};                   // assumed: places waits and arrivals among the steps
  std::int64_t max_context = 131072;         // a request ends before the turn that would pass it
  std::int64_t cache_block = 16;             // tokens; only whole blocks are found again
  std::optional<std::int64_t> cache_tokens;  // of one rank; none = nothing is ever evicted
  std::uint64_t seed = 0;
};

// Every key is checked: InputError names file, line, key, value and what is allowed.
AgenticDescription load_agentic(const JsonNode& root);

}  // namespace moesim
