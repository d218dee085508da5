// Profiles for the synthesizer: what a trace shows is measured, then the chances of the generator
// are solved for it.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/trace/trace_stats.h"
#include "workloads/traces/synth.h"

namespace moesim {

// A trace does not say whether its model limits routing to groups; the caller does.
struct FitOptions {
  int groups = 1, kept_groups = 1;
  int rounds = 24;  // of the solver; each draws a trace
  std::uint64_t seed = 1;
  int threads = 2;
};

// One statistic beside what the fitted profile's trace shows of it.
struct FitRow {
  int layer = 0;  // -1 = over all layers
  const char* statistic = "";
  double target = 0, reached = 0;
};
struct FittedProfile {
  SynthProfile profile;
  SynthRequest request;      // draws a trace like the one measured
  std::vector<FitRow> rows;  // every statistic that has a target
};

// The profile of a trace: load curves and distances of its domains by layer, dependence of
// neighbouring layers and tokens, overlap of prefill and decode. InputError when the shape is
// beyond the synthesizer's (see synthesize).
FittedProfile fit_profile(const RoutingTrace& trace, const FitOptions& options);

// Solves class_spread, next_layer_keep, next_token_keep, repeat_first and phase_shift of a profile
// for its targets, on traces drawn as `request` says. Where targets contradict each other or the
// loads (a coverage below what the loads alone give), the rows show what was reached.
FittedProfile solve_profile(SynthProfile profile, SynthRequest request, const FitOptions& options);

}  // namespace moesim
