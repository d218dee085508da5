// Rows of the experts of one rank, as benchmarks of MoE kernels make them up.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

struct ExpertLoad {
  int ranks = 1, experts = 256, local_experts = 256;  // of the EP group, of one rank
  int tokens_per_rank = 128, top_k = 8;
  bool skewed = false;
  double skew_exponent = 0;  // of skewed loads
};

// "ep", "experts", "local_experts" (else experts / ep), "tokens_per_rank", "top_k", "routing",
// "skew_exponent" of a record. InputError for more choices a token than experts, or none a rank.
ExpertLoad expert_load_of(const JsonNode& typed);

// Of each draw: rows of each expert of one rank. Without skew one draw, all experts alike, and
// where there are fewer token copies than experts one row each for as many. Skewed: five draws
// (aiconfigurator's helper.py: experts' loads from a density x^-exponent between 1 and 0.8 of the
// tokens, or between 0.01 and 2 where copies are fewer than experts, scaled to the token copies),
// of which the rank with most copies is timed.
std::vector<std::vector<std::uint32_t>> heaviest_rank_rows(const ExpertLoad& load);

}  // namespace moesim
