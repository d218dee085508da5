// An agentic workload expanded: what every rank does in every step, the batches of these steps, and
// the routing trace of all their tokens.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/plan/batch.h"
#include "workloads/traces/agentic/batching.h"
#include "workloads/traces/agentic/token_source.h"

namespace moesim {

struct AgenticCounts {
  std::int64_t user_turns = 0, tool_turns = 0, cut_requests = 0;
  std::int64_t domain_switches = 0;  // texts whose domain is not that of the text before them
  std::vector<std::array<std::int64_t, 2>> tokens;  // computed ones, [domain][phase]
};

struct AgenticExpansion {
  std::vector<std::string> domains;
  int ranks = 1;
  std::uint64_t seed = 0;
  std::vector<AgenticRequest> requests;
  AgenticSchedule schedule;
  AgenticCounts counts;
  std::int64_t tokens() const;  // computed: rows of the trace
};

// Same description and seed, same expansion. InputError as draw_requests.
AgenticExpansion expand_agentic(const AgenticDescription& description, std::uint64_t seed);

// One batch a step. rows count the expansion's tokens in order: they are the rows of the trace that
// write_agentic_trace makes.
std::vector<Batch> agentic_batches(const AgenticExpansion& expansion);

// The source's domain for every domain of the description: the one of the same name, or what
// `renamed` says. InputError names the domain and those the source has.
std::vector<std::size_t> source_domains(const AgenticExpansion& expansion,
                                        const TraceHeader& source,
                                        const std::map<std::string, std::string>& renamed);

// A row a computed token: request, position in its context, step, phase, domain of its text, and
// the rank as source_rank. model, experts, top_k and layers are the source's; origin "synthetic".
// Tokens are routed while the file is written; memory is that of the expansion.
void write_agentic_trace(const std::string& path,
                         const AgenticExpansion& expansion,
                         const TokenSource& source,
                         const std::vector<std::size_t>& source_domain);

}  // namespace moesim
