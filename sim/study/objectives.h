// What a user wants of a pool, held against what it does.
#pragma once

#include "sim/result/result.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// - result.slo: the scenario's objective, where it has one
// - metric "cost_per_million_tokens" where GPUs have a price: price of a GPU and hour / new tokens
//   that a GPU makes in one x 1e6, with the band and basis of tokens_per_second_per_gpu
void add_objectives(const Scenario& scenario, PointResult& result);

}  // namespace moesim
