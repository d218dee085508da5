// Placements by load against optima found by trying everything, and EPLB kept in place.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "sim/core/random.h"
#include "sim/plan/placement.h"
#include "sim/plan/placement/fill_bins.h"

namespace moesim {
namespace {

std::vector<Placement> place(const char* strategy, const PlacementInput& input) {
  return Catalog<PlacementPart>::instance().at(strategy, "placement")(input);
}

double largest(const Placement& placement, const std::vector<double>& load, int ranks) {
  const auto by_rank = rank_load(placement, load, static_cast<std::size_t>(ranks));
  return *std::max_element(by_rank.begin(), by_rank.end());
}

// Calls try_one(bin of each item) for every way to put `items` into bins with `room` each.
void every_way(std::size_t items,
               std::size_t bins,
               const std::function<void(const std::vector<std::size_t>&)>& try_one) {
  std::vector<std::size_t> bin_of, members(bins, 0);
  const std::function<void()> next = [&] {
    if (bin_of.size() == items) return try_one(bin_of);
    for (std::size_t bin = 0; bin < bins; ++bin) {
      if (members[bin] == items / bins) continue;
      ++members[bin];
      bin_of.push_back(bin);
      next();
      bin_of.pop_back();
      --members[bin];
    }
  };
  next();
}

double least_possible(const std::vector<double>& load, std::size_t ranks) {
  double least = INFINITY;
  every_way(load.size(), ranks, [&](const std::vector<std::size_t>& rank_of) {
    std::vector<double> by_rank(ranks, 0);
    for (std::size_t expert = 0; expert < load.size(); ++expert)
      by_rank[rank_of[expert]] += load[expert];
    least = std::min(least, *std::max_element(by_rank.begin(), by_rank.end()));
  });
  return least;
}

std::vector<double> skewed_load(int experts, Random& random) {
  std::vector<double> load;
  for (int expert = 0; expert < experts; ++expert)
    load.push_back(std::round(1000 * std::exp(0.8 * random.normal())));
  return load;
}

PlacementInput skewed_input(int layers, std::uint64_t seed) {
  PlacementInput input;
  Random random(seed);
  for (int layer = 0; layer < layers; ++layer) input.load.push_back(skewed_load(64, random));
  input.slots = 80;
  input.ranks = 16;
  input.nodes = 2;
  input.groups = 4;
  return input;
}

}  // namespace

TEST_CASE("greedy is within 4/3 of the best of all placements, topology_aware within 1 %") {
  Random random(17);
  double worst = 1;
  for (int round = 0; round < 60; ++round) {
    const int ranks = round % 2 == 0 ? 2 : 3, experts = ranks == 2 ? 10 : 9;
    PlacementInput input;
    input.load = {skewed_load(experts, random)};
    input.slots = experts;
    input.ranks = ranks;
    const double best = least_possible(input.load[0], static_cast<std::size_t>(ranks));
    const double found = largest(place("greedy", input)[0], input.load[0], ranks);
    CHECK(found >= best * (1 - 1e-12));
    CHECK(found <= best * 4 / 3);
    worst = std::max(worst, found / best);
    CHECK(largest(place("topology_aware", input)[0], input.load[0], ranks) <= best * 1.01);
  }
  CHECK(worst > 1.001);  // the bound was put to use
}

TEST_CASE("greedy and topology_aware balance redundant experts at least as well as eplb") {
  const PlacementInput input = skewed_input(6, 3);
  const auto eplb = place("eplb", input), greedy = place("greedy", input),
             search = place("topology_aware", input);
  double sums[3] = {0, 0, 0};
  for (std::size_t layer = 0; layer < input.load.size(); ++layer) {
    const auto& load = input.load[layer];
    sums[0] += largest(eplb[layer], load, input.ranks);
    sums[1] += largest(greedy[layer], load, input.ranks);
    sums[2] += largest(search[layer], load, input.ranks);
    CHECK(largest(search[layer], load, input.ranks) <= largest(eplb[layer], load, input.ranks));
  }
  CHECK(sums[1] < sums[0]);  // eplb keeps expert groups in their nodes
  CHECK(sums[2] < sums[1]);
}

TEST_CASE("eplb_preserving is eplb without a placement before, and moves nothing without need") {
  PlacementInput input = skewed_input(4, 5);
  const auto eplb = place("eplb", input), fresh = place("eplb_preserving", input);
  input.previous = eplb;
  const auto again = place("eplb_preserving", input);
  for (std::size_t layer = 0; layer < eplb.size(); ++layer) {
    CHECK(fresh[layer].replica_of == eplb[layer].replica_of);
    CHECK(again[layer].replica_of == eplb[layer].replica_of);  // to the slot
  }
}

TEST_CASE("eplb_preserving is within 2 % of eplb's largest load and moves less") {
  for (const int groups : {4, 1}) {
    PlacementInput input = skewed_input(6, 7);
    input.groups = groups;
    input.previous = place("eplb", input);
    Random random(9);
    for (auto& layer : input.load)
      for (double& load : layer) load *= std::exp(0.1 * random.normal());
    const auto eplb = place("eplb", input), kept = place("eplb_preserving", input);
    std::size_t moved = 0, moved_by_eplb = 0;
    for (std::size_t layer = 0; layer < kept.size(); ++layer) {
      const auto& load = input.load[layer];
      CHECK(largest(kept[layer], load, input.ranks) <=
            largest(eplb[layer], load, input.ranks) * (1.02 + 1e-6));
      moved += replicas_that_move(input.previous[layer], kept[layer]);
      moved_by_eplb += replicas_that_move(input.previous[layer], eplb[layer]);
    }
    CAPTURE(moved);
    CAPTURE(moved_by_eplb);
    CHECK(2 * moved < moved_by_eplb);
  }
}

TEST_CASE("eplb_preserving keeps expert groups in their nodes") {
  PlacementInput input = skewed_input(3, 11);
  input.previous = place("eplb", input);
  for (auto& layer : input.load) std::reverse(layer.begin(), layer.end());
  for (const Placement& placement : place("eplb_preserving", input)) {
    std::vector<int> node_of_group(4, -1);
    for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
      int& node = node_of_group[index(placement.replica_of[slot]) / 16];
      const int own = static_cast<int>(index(placement.rank_of[slot]) / 8);
      CHECK((node == -1 || node == own));
      node = own;
    }
  }
}

TEST_CASE("bins are filled for the largest gain of all ways to fill them") {
  Random random(23);
  for (int round = 0; round < 40; ++round) {
    const std::size_t bins = round % 2 == 0 ? 3 : 4, items = bins == 3 ? 9 : 8;
    std::vector<std::int64_t> gain;
    for (std::size_t i = 0; i < items * bins; ++i)
      gain.push_back(static_cast<std::int64_t>(random.below(round % 3 == 0 ? 4 : 1000)));
    const auto sum = [&](const std::vector<std::size_t>& bin_of) {
      std::int64_t all = 0;
      for (std::size_t item = 0; item < items; ++item) all += gain[item * bins + bin_of[item]];
      return all;
    };
    std::int64_t best = 0;
    every_way(items, bins,
              [&](const std::vector<std::size_t>& bin_of) { best = std::max(best, sum(bin_of)); });
    const std::vector<std::size_t> found = fill_bins(gain, bins);
    CHECK(sum(found) == best);
    for (std::size_t bin = 0; bin < bins; ++bin)
      CHECK(std::count(found.begin(), found.end(), bin) ==
            static_cast<std::ptrdiff_t>(items / bins));
  }
}

}  // namespace moesim
