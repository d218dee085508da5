// Routing that no trace gives: expert choices drawn at random, or dealt out evenly.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/plan/all_to_all.h"

namespace moesim {

struct RoutingDraw {
  int ranks = 8, ranks_per_node = 8;
  int tokens_per_rank = 128, experts = 256, top_k = 8;
  int nodes_limit = 0;    // a token reaches at most this many nodes; 0 = no limit
  bool balanced = false;  // equal counts, min(ranks, top_k) ranks a token; else independent draws
  double skew_exponent = 0;  // expert e is drawn in proportion to (e + 1)^-exponent, 0 = alike
  std::vector<double> weights = {};  // by expert, instead of the exponent; empty = as it says
  std::uint64_t seed = 1;
};

// Token copies of one layer, experts placed contiguously (the last ranks have fewer where ranks do
// not divide them). Distinct tokens by rank and by node are counted too.
std::shared_ptr<const RoutedCopies> draw_routing(const RoutingDraw& draw);

}  // namespace moesim
