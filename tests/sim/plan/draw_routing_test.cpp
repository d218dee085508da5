// Drawn routing against its expectations: closed forms for uniform draws, exact counts for balanced
// ones.
#include "sim/plan/draw_routing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace moesim;

namespace {

double sum(const RowCounts& counts) {
  double total = 0;
  for (std::size_t source = 0; source < counts.sources(); ++source)
    for (const auto [destination, rows] : counts.of(source)) total += rows;
  return total;
}

// Places that a token with k of E experts reaches when each place holds `held` of them.
double distinct(int places, int experts, int held, int k) {
  double miss = 1;
  for (int i = 0; i < k; ++i)
    miss *= static_cast<double>(experts - held - i) / static_cast<double>(experts - i);
  return places * (1 - miss);
}

RoutingDraw v3_on(int ranks) {
  RoutingDraw draw;
  draw.ranks = ranks;
  draw.tokens_per_rank = 4096;
  return draw;
}

}  // namespace

TEST_CASE("Uniform draws reach as many ranks and nodes as the closed form says") {
  for (const int ranks : {8, 16, 32, 64}) {
    CAPTURE(ranks);
    const auto routed = draw_routing(v3_on(ranks));
    const double tokens = 4096.0 * ranks;
    CHECK(sum(routed->copies) == 8 * tokens);
    CHECK(sum(routed->rank_tokens) / tokens ==
          doctest::Approx(distinct(ranks, 256, 256 / ranks, 8)).epsilon(0.005));
    CHECK(sum(routed->node_tokens) / tokens ==
          doctest::Approx(distinct(ranks / 8, 256, 2048 / ranks, 8)).epsilon(0.005));
  }
}

TEST_CASE("A limit of nodes holds for every token") {
  RoutingDraw draw = v3_on(64);
  draw.nodes_limit = 4;
  const auto routed = draw_routing(draw);
  const double tokens = 4096.0 * 64;
  // 4 nodes of 32 experts each are drawn first, then 8 of their 128 experts.
  CHECK(sum(routed->node_tokens) / tokens ==
        doctest::Approx(distinct(4, 128, 32, 8)).epsilon(0.005));
  CHECK(sum(routed->copies) == 8 * tokens);
}

TEST_CASE("Balanced draws give every rank as many copies and a token min(ranks, k) ranks") {
  for (const int ranks : {2, 4, 8, 16, 64}) {
    CAPTURE(ranks);
    RoutingDraw draw = v3_on(ranks);
    draw.balanced = true;
    draw.tokens_per_rank = 128;
    const auto routed = draw_routing(draw);
    CHECK(sum(routed->rank_tokens) == 128.0 * ranks * std::min(ranks, 8));
    std::vector<double> received(static_cast<std::size_t>(ranks), 0);
    for (std::size_t source = 0; source < routed->copies.sources(); ++source)
      for (const auto [destination, rows] : routed->copies.of(source))
        received[destination] += rows;
    for (const double one : received) CHECK(one == 128.0 * 8);
  }
}

TEST_CASE("Skewed draws follow the power law of their exponent") {
  RoutingDraw draw = v3_on(8);
  draw.top_k = 1;
  draw.skew_exponent = 1;
  const auto routed = draw_routing(draw);
  double harmonic = 0;
  for (int expert = 1; expert <= 256; ++expert) harmonic += 1.0 / expert;
  for (const std::size_t expert : {0, 1, 9})
    CHECK(routed->per_physical_expert[expert] ==
          doctest::Approx(4096 * 8 / harmonic / (static_cast<double>(expert) + 1)).epsilon(0.06));
}

TEST_CASE("The same seed draws the same, another one does not") {
  RoutingDraw draw = v3_on(8);
  const auto first = draw_routing(draw), again = draw_routing(draw);
  CHECK(first->per_physical_expert == again->per_physical_expert);
  draw.seed = 2;
  CHECK(first->per_physical_expert != draw_routing(draw)->per_physical_expert);
}

TEST_CASE("Weighted draws follow the weights") {
  RoutingDraw draw;
  draw.experts = 8;
  draw.top_k = 1;
  draw.tokens_per_rank = 20000;
  draw.weights = {1, 1, 1, 1, 1, 1, 1, 9};
  const auto routed = draw_routing(draw);
  const double all = 8 * 20000.0;
  CHECK(routed->per_physical_expert[7] / all == doctest::Approx(9.0 / 16).epsilon(0.02));
  CHECK(routed->per_physical_expert[0] / all == doctest::Approx(1.0 / 16).epsilon(0.05));
}
