// The split of copies that balances ranks, against all splits of small cases.
#include "sim/plan/balanced_split.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "sim/core/random.h"
#include "sim/plan/replica_choice.h"
#include "tests/sim/plan/recount.h"

namespace moesim {
namespace {

using Counts = std::vector<std::uint32_t>;

std::uint32_t fullest(const Counts& by_slot, const Placement& placement, std::size_t ranks) {
  Counts load(ranks, 0);
  for (std::size_t slot = 0; slot < by_slot.size(); ++slot)
    load[index(placement.rank_of[slot])] += by_slot[slot];
  return *std::max_element(load.begin(), load.end());
}

// The least possible, by trying every split of every expert.
std::uint32_t least_of_all(const Counts& copies, const Placement& placement, std::size_t ranks) {
  std::uint32_t least = UINT32_MAX;
  Counts by_slot(placement.replica_of.size(), 0);
  Counts left = copies;
  const std::function<void(std::size_t)> fill = [&](std::size_t slot) {
    if (slot == by_slot.size()) {
      if (std::all_of(left.begin(), left.end(), [](std::uint32_t n) { return n == 0; }))
        least = std::min(least, fullest(by_slot, placement, ranks));
      return;
    }
    std::uint32_t& rest = left[index(placement.replica_of[slot])];
    const std::uint32_t most = rest;
    for (std::uint32_t n = 0; n <= most; ++n) {
      by_slot[slot] = n;
      rest = most - n;
      fill(slot + 1);
    }
    rest = most;
  };
  fill(0);
  return least;
}

// Every expert once, then replicas anywhere; two slots a rank.
Placement random_placement(std::size_t experts, std::size_t ranks, Random& random) {
  Placement placement;
  for (std::size_t slot = 0; slot < 2 * ranks; ++slot) {
    placement.replica_of.push_back(
        id_of<LogicalExpert>(slot < experts ? slot : random.below(experts)));
    placement.rank_of.push_back(id_of<Rank>(slot / 2));
  }
  random.shuffle(std::span(placement.replica_of));
  return placement;
}

}  // namespace

TEST_CASE("the balanced split's fullest rank has the least of all splits") {
  Random random(51);
  int better_than_even = 0;
  for (int round = 0; round < 60; ++round) {
    const Placement placement = random_placement(4, 3, random);
    Counts copies;
    for (int expert = 0; expert < 4; ++expert)
      copies.push_back(static_cast<std::uint32_t>(random.below(9)));
    const Counts by_slot = balanced_split(copies, placement, 3);
    Counts sums(4, 0), even(6, 0), replicas(4, 0);
    for (std::size_t slot = 0; slot < 6; ++slot) {
      sums[index(placement.replica_of[slot])] += by_slot[slot];
      ++replicas[index(placement.replica_of[slot])];
    }
    CHECK(sums == copies);
    CHECK(fullest(by_slot, placement, 3) == least_of_all(copies, placement, 3));
    for (std::size_t slot = 0; slot < 6; ++slot) {
      const std::size_t expert = index(placement.replica_of[slot]);
      even[slot] = copies[expert] / replicas[expert];
    }
    better_than_even += fullest(by_slot, placement, 3) < fullest(even, placement, 3) ? 1 : 0;
  }
  CHECK(better_than_even > 5);
}

TEST_CASE("slots without an expert get no copies") {
  const Placement placement{{LogicalExpert{0}, kNoExpert, LogicalExpert{0}, LogicalExpert{1}},
                            {Rank{0}, Rank{0}, Rank{1}, Rank{1}}};
  CHECK(balanced_split(Counts{10, 4}, placement, 2) == Counts{7, 0, 3, 4});
}

TEST_CASE("load_balanced deals every source's copies so that slots get their split") {
  Random random(53);
  const Placement placement = random_placement(6, 6, random);
  std::vector<Counts> of_source(6, Counts(6));
  Counts copies(6, 0);
  for (Counts& source : of_source)
    for (std::size_t expert = 0; expert < 6; ++expert)
      copies[expert] += source[expert] = static_cast<std::uint32_t>(random.below(20));
  ReplicaChooser chooser(placement, 6, ReplicaChoice::load_balanced, 3);
  chooser.balance(copies, 6);
  std::vector<Counts> dealt(6, Counts(12, 0));
  Counts sum(12, 0);
  for (std::size_t source = 0; source < 6; ++source) {
    chooser.start(source, 0);
    for (std::size_t expert = 0; expert < 6; ++expert)
      if (of_source[source][expert] > 0)
        chooser.deal(expert, of_source[source][expert], [&](std::uint32_t slot, std::uint32_t n) {
          dealt[source][slot] += n;
          sum[slot] += n;
        });
  }
  CHECK(sum == balanced_split(copies, placement, 6));
  // One copy at a time gives the same.
  chooser.restart();
  for (std::size_t source = 0; source < 6; ++source) {
    chooser.start(source, 0);
    Counts own(12, 0);
    for (std::size_t expert = 0; expert < 6; ++expert)
      for (std::uint32_t copy = 0; copy < of_source[source][expert]; ++copy)
        ++own[chooser.next(expert)];
    CHECK(own == dealt[source]);
  }
}

namespace {

// The largest sum of token copies of a rank in a layer.
std::uint32_t fullest_rank(const RoutedCopies& copies) {
  const std::size_t local =
      copies.per_physical_expert.size() / static_cast<std::size_t>(copies.ranks);
  std::uint32_t most = 0;
  for (std::size_t first = 0; first < copies.per_physical_expert.size(); first += local) {
    const auto of_rank = std::span(copies.per_physical_expert).subspan(first, local);
    most = std::max(most, std::accumulate(of_rank.begin(), of_rank.end(), 0U));
  }
  return most;
}

// Copies by logical expert and EP group.
Counts by_expert(const test::StepWorld& world, std::size_t layer, const RoutedCopies& copies) {
  const Placement& placement = world.plan.placement[layer];
  const auto experts = static_cast<std::size_t>(world.trace.header.experts);
  const std::size_t slots = placement.replica_of.size();
  Counts sums(copies.per_physical_expert.size() / slots * experts, 0);
  for (std::size_t slot = 0; slot < copies.per_physical_expert.size(); ++slot)
    sums[slot / slots * experts + index(placement.replica_of[slot % slots])] +=
        copies.per_physical_expert[slot];
  return sums;
}

}  // namespace

TEST_CASE("choices of all sources together deal the same copies of experts as even does") {
  for (const test::StepCase& base :
       {test::StepCase{}, test::StepCase{.nodes = 4, .expert_parallel = 16, .tensor = 4, .seed = 3},
        test::StepCase{.nodes = 4, .expert_parallel = 8, .tensor = 2, .seed = 4}}) {
    const test::StepWorld even(base);
    const auto of_even = test::count_all(even, true);
    for (const ReplicaChoice choice : {ReplicaChoice::round_robin, ReplicaChoice::load_balanced}) {
      test::StepCase c = base;
      c.choice = choice;
      const test::StepWorld world(c);
      const auto copies = test::count_all(world, true);
      for (std::size_t layer = 0; layer < copies.size(); ++layer) {
        CHECK(by_expert(world, layer, *copies[layer]) == by_expert(even, layer, *of_even[layer]));
        if (choice == ReplicaChoice::load_balanced)
          CHECK(fullest_rank(*copies[layer]) <= fullest_rank(*of_even[layer]));
        // A token is counted once at a rank that gets copies of it.
        for (std::size_t pair = 0; pair < 32 * 32; ++pair) {
          const std::size_t source = pair / 32, rank = pair % 32;
          if (source >= copies[layer]->copies.sources()) continue;
          const std::uint32_t all = copies[layer]->copies.at(source, rank),
                              tokens = copies[layer]->rank_tokens.at(source, rank);
          if (tokens > all || (all > 0) != (tokens > 0))
            FAIL_CHECK(source << " to " << rank << ": " << tokens << " tokens, " << all);
        }
      }
    }
  }
}

}  // namespace moesim
