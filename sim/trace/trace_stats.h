// What a trace shows of a model's routing: load and its skew, by layer and domain; how far one
// layer's choice tells the next layer's, and one token's choice the next token's; how alike prefill
// and decode are. Definitions and sources: docs/traces.md, "Routing statistics".
#pragma once

#include <array>
#include <cstdint>
#include <span>
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

// Max over mean load of `ranks` ranks that hold equal runs of experts in the order of their ids;
// `ranks` must divide the experts. 0 when nothing was routed.
double contiguous_rank_skew(const std::vector<std::uint64_t>& load, int ranks);

// A share seen in the trace, beside what it would be if the two sides knew nothing of each other.
struct DependenceStats {
  double share = 0;
  double chance = 0;
  std::uint64_t pairs = 0;  // what the share was counted over; 0 = nothing to count
};

// How many of prefill's n busiest experts are among decode's n busiest.
inline constexpr std::array<int, 3> kPhaseTops{5, 10, 20};
struct PhaseOverlap {
  bool counted = false;  // both phases have copies, and there are more experts than the largest n
  std::array<double, 3> share{};  // of n, by kPhaseTops
};
PhaseOverlap phase_overlap(const std::vector<std::uint64_t>& prefill,
                           const std::vector<std::uint64_t>& decode);

struct LayerTraceStats {
  int layer = 0;
  LoadStats all;
  std::vector<LoadStats> by_domain;
  double distance_between_domains = 0;  // domain_distance of by_domain
  PhaseOverlap phases;
  // Share of (expert, next expert) pairs that the top fifth of next experts covers, given the
  // expert: next MoE layer of the same token (none for the last layer), next token of the request.
  DependenceStats next_layer, next_token;
  // Share of those pairs that the hottest tenth (rounded up) of all experts x experts pairs holds;
  // 0 where none were counted and above 2048 experts.
  double next_layer_hottest = 0, next_token_hottest = 0;
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

// Token copies by expert, [moe layer][domain x 2 + phase][expert].
using TraceLoads = std::vector<std::vector<std::vector<std::uint64_t>>>;
TraceLoads trace_loads(const RoutingTrace& trace, int threads = 2);

// Reads the whole trace; the result does not depend on the number of threads. Loads, phases and
// same_first_expert count every entry. next_layer, next_token and the hottest pairs (a pair of rows
// makes top_k x top_k pairs of experts, more work than all the rest) are sampled in long traces,
// always in the same way:
// - of the rows, every n-th first row of a pair, n odd and the least that leaves about
//   kPairsPerCell pairs for each of the experts x experts kinds of a layer;
// - where a layer still has more than kAllFirstPairs pairs, only those of kFirstExperts first
//   experts, evenly spaced by falling load. Each of them keeps all its next experts, so that fewer
//   of them make the shares no larger, only less certain: of 20 M entries like DeepSeek-V3's they
//   lay within 4 % of what all first experts give.
// InputError on an expert id beyond the header's.
inline constexpr double kPairsPerCell = 64;
inline constexpr std::size_t kFirstExperts = 32, kAllFirstPairs = std::size_t{1} << 20;
TraceStats trace_stats(const RoutingTrace& trace, int threads = 2);

}  // namespace moesim
