// What a trace shows of a model's routing: load and its skew, by layer and domain; how far one
// layer's choice tells the next layer's, and one token's choice the next token's. Definitions and
// sources: docs/models.md, "Routing statistics".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

struct LoadStats {
  std::vector<std::uint64_t> load;  // token copies by logical expert
  std::uint64_t copies = 0;         // their sum
  double max_over_mean = 0;         // 1 = even; 0 when nothing was routed
  double zipf_exponent = 0;   // of the loaded ones among the busiest three quarters of the experts
  double hottest_eighth = 0;  // share of copies on the busiest eighth (rounded up) of the experts
};
LoadStats load_stats(std::vector<std::uint64_t> load);

// Mean over pairs of domains of the total variation between their load shares, 0 (alike) to 1.
// Domains without copies are left out.
double domain_distance(const std::vector<LoadStats>& domains);

// A share seen in the trace, beside what it would be if the two sides knew nothing of each other.
struct DependenceStats {
  double share = 0;
  double chance = 0;
  std::uint64_t pairs = 0;  // what the share was counted over; 0 = nothing to count
};

struct LayerTraceStats {
  int layer = 0;
  LoadStats all;
  std::vector<LoadStats> by_domain;
  double distance_between_domains = 0;  // domain_distance of by_domain
  // Share of (expert, next expert) pairs that the top fifth of next experts covers, given the
  // expert: next MoE layer of the same token (none for the last layer), next token of the request.
  DependenceStats next_layer, next_token;
  // Share of neighbouring tokens of a request that have the same first expert; chance is the
  // product of the expert's shares of first choices on either side, summed over experts.
  DependenceStats same_first_expert;
};

struct TraceStats {
  TraceHeader header;
  std::size_t tokens = 0, prefill_tokens = 0, requests = 0;
  std::vector<std::size_t> tokens_by_domain;
  double not_routed = 0;  // share of choices that are kNotRouted
  std::vector<LayerTraceStats> layers;
};

// Reads the whole trace, layers dealt over `threads`; the result does not depend on their number.
// InputError on an expert id beyond the header's.
TraceStats trace_stats(const RoutingTrace& trace, int threads = 2);

}  // namespace moesim
