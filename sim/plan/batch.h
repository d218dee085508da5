// Batch: what one step works on. Made from a workload description and a trace; every token of the
// step is a real row of the trace.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/units.h"
#include "sim/trace/routing_trace.h"

namespace moesim {

struct BatchEntry {
  std::int32_t request = 0;  // id in the simulated step
  Phase phase = Phase::decode;
  int new_tokens = 1;  // tokens this step computes: 1 in decode, the chunk in prefill
  int context = 0;     // tokens already in the KV cache
};

// How much longer or shorter kernels take than their cost says: coefficients of variation, of a
// rank's own factor, which all steps share, and of each kernel's on each rank.
struct KernelNoise {
  double rank = 0, kernel = 0;
  std::uint64_t seed = 1;
  int step = 0;
};

// One entry list per data-parallel rank (attention DP group), and the trace rows its new tokens
// replay, in entry order: rows[g].size() == sum of new_tokens of by_rank[g].
struct Batch {
  std::vector<std::vector<BatchEntry>> by_rank;
  std::vector<std::vector<std::uint32_t>> rows;
  std::size_t padding = 0;         // tokens that only fill it up: nobody asked for them
  std::vector<Seconds> host = {};  // by DP rank: before the step's first kernel; empty = none
  Seconds launch{};                // of the host, for each kernel; 0: graphs were captured
  KernelNoise noise = {};
  int drafts = 0;   // passes of the multi-token prediction module, one token a request each
  double kept = 1;  // of its new tokens: those that are output (drafts may be refused)
  std::size_t tokens() const;  // padding counted
};

// Multi-token prediction: in a decode step every request's last token and `tokens` drafted ones are
// checked at once; the n-th draft is kept with probability acceptance^n.
struct Drafting {
  int tokens = 0;
  double acceptance = 1;
  double output() const;  // tokens a request and step: 1 + the sum of acceptance^n
};

// What decode batches are filled up to with tokens of no context that all route alike: a DP rank's
// to the next of `batch_sizes` (those that graphs were captured for; larger ones stay), then all to
// the largest DP rank's.
struct BatchPadding {
  std::vector<int> batch_sizes;  // ascending; empty = any size
  bool to_largest = false;
};

// The scenario's workload, checked.
struct WorkloadSpec {
  Phase phase = Phase::decode;
  int tokens_per_rank = 128;     // decode: requests a DP rank; prefill: new tokens a DP rank
  double spread = 0;             // coefficient of variation of tokens over DP ranks, 0 = all equal
  double context_median = 1024;  // tokens, lognormal
  double context_sigma = 0;      // of log(context); 0 = all equal
  int steps = 1;
  double planning_share = 0.5;  // leading share of every request's rows that only placement may
                                // see; 0 = all rows serve both
  BatchPadding padding = {};
  Drafting drafting = {};
  Seconds host_time{};     // of the host a step (scheduler, sampling), while its GPU does nothing
  double host_spread = 0;  // coefficient of variation of that over DP ranks and steps
  Seconds launch{};        // of the host for each kernel, while the GPU works; 0: graphs
  KernelNoise noise = {};
  int windows = 0;  // > 0: planning_share is the trace's own first rows, in its order, and the rest
                    // is judged in so many parts, `steps` steps each
  bool planned_on_mix = false;  // with windows: planning_share is of every request all the same
};

// Trace rows by use: those a placement is planned on, and those that are replayed.
struct TraceSplit {
  std::vector<std::uint32_t> planning, replay;  // ascending row numbers
};
TraceSplit split_trace(const RoutingTrace& trace, double planning_share);
// The trace's first rows against all later ones, so that what changes over time shows.
TraceSplit split_trace_in_time(const RoutingTrace& trace, double planning_share);

// Parts of equal size, in order, or one row larger. InputError when there are fewer rows.
std::vector<std::vector<std::uint32_t>> cut_windows(const std::vector<std::uint32_t>& rows,
                                                    int windows);

// `steps` batches for `dp_ranks` ranks. Decode: each simulated request follows one traced request,
// a row a step; prefill: contiguous rows of traced requests. Traced requests are dealt to ranks by
// a seeded shuffle and reused from other offsets when the trace is shorter than the work (reuse =
// replayed tokens / distinct rows). InputError when the replay rows are empty.
std::vector<Batch> make_batches(const WorkloadSpec& workload,
                                const RoutingTrace& trace,
                                const std::vector<std::uint32_t>& replay_rows,
                                int dp_ranks,
                                std::uint64_t seed);

}  // namespace moesim
