// Several traces of one model shape as one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/trace/picked_rows.h"

namespace moesim {

struct NamedTrace {
  std::string name;  // for messages: its file
  RoutingTrace trace;
};

enum class MergeOrder {
  concatenate,  // one after another: each one's steps go on after the last of the one before
  interleave,   // side by side: steps stay; rows are mixed by the seed, each trace's in their order
};

struct MergeOptions {
  MergeOrder order = MergeOrder::concatenate;
  // Shares of the tokens, one a trace, above 0; empty = all of every trace. Whole requests are
  // kept, in order of their first rows, until a trace's share of the largest mix that the traces
  // can fill is reached: a share is off by less than half of a trace's longest request.
  std::vector<double> weights;
  std::uint64_t seed = 0;
};

// Requests are renumbered from 0 by first appearance, traces in the order given; domains are united
// by name. weights and source_rank stay when every trace has them. model: the name, or all of them
// joined by " + "; origin: the one they share, else synthetic if one is, else imported;
// notes: all of them, each once.
// InputError: fewer than two traces, experts, top_k or layer_ids that differ (both files, both
// values), more than 256 domains, steps or requests beyond 32 bits, weights of another number.
PickedRows merge_traces(const std::vector<NamedTrace>& traces, const MergeOptions& options);

}  // namespace moesim
