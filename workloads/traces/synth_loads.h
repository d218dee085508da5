// Loads a profile asks for, without drawing a single token.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/traces/synth.h"

namespace moesim {

struct LoadRequest {
  int moe_layers = 0, experts = 0, top_k = 0, groups = 1;  // 0 = the profile's
  bool decode = false;                                     // else prefill
  std::string domain;                                      // empty = all of the profile's, evenly
  std::uint64_t seed = 1;
};

// Expected load over mean of each expert, [MoE layer][expert]: what synthesize() would come near to
// with ever more tokens. InputError where the profile has no such domain, or groups that do not
// divide the experts.
std::vector<std::vector<double>> expected_loads(const SynthProfile& profile,
                                                const LoadRequest& request);

}  // namespace moesim
