// Replica choice: who gets the n-th copy of an expert.
#include "sim/plan/replica_choice.h"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace moesim;

namespace {

// Expert 0 on ranks 0, 1 and 5; expert 1 on rank 2 alone. Nodes of four ranks.
Placement three_replicas() {
  return {{LogicalExpert{0}, LogicalExpert{0}, LogicalExpert{1}, LogicalExpert{0}},
          {Rank{0}, Rank{1}, Rank{2}, Rank{5}}};
}

std::vector<std::uint32_t> deal(ReplicaChoice choice, std::size_t source, std::uint32_t copies) {
  ReplicaChooser chooser(three_replicas(), 2, choice, 4);
  chooser.start(source, 0);
  std::vector<std::uint32_t> by_slot(4);
  chooser.deal(0, copies, [&](std::uint32_t slot, std::uint32_t n) { by_slot[slot] += n; });
  return by_slot;
}

using Counts = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("even deals over all replicas and starts each source at another") {
  CHECK(deal(ReplicaChoice::even, 0, 4) == Counts{2, 1, 0, 1});
  CHECK(deal(ReplicaChoice::even, 1, 4) == Counts{1, 2, 0, 1});
  CHECK(deal(ReplicaChoice::even, 2, 4) == Counts{1, 1, 0, 2});
  CHECK(deal(ReplicaChoice::even, 3, 5) == Counts{2, 2, 0, 1});
}

TEST_CASE("nearest prefers the own rank, then the node, then deals evenly") {
  CHECK(deal(ReplicaChoice::nearest, 1, 5) == Counts{0, 5, 0, 0});
  CHECK(deal(ReplicaChoice::nearest, 2, 4) == Counts{2, 2, 0, 0});
  CHECK(deal(ReplicaChoice::nearest, 6, 3) == Counts{0, 0, 0, 3});
  CHECK(deal(ReplicaChoice::nearest, 9, 6) == Counts{2, 2, 0, 2});
}

TEST_CASE("round robin goes on from source to source, however the copies are asked for") {
  ReplicaChooser chooser(three_replicas(), 2, ReplicaChoice::round_robin, 4);
  const auto next_source = [&](std::size_t source, std::uint32_t copies) {
    chooser.start(source, 0);
    Counts by_slot(4);
    chooser.deal(0, copies, [&](std::uint32_t slot, std::uint32_t n) { by_slot[slot] += n; });
    return by_slot;
  };
  // Replicas in slots 0, 1 and 3: 7 copies end at the first, so the next source begins at slot 1.
  CHECK(next_source(0, 7) == Counts{3, 2, 0, 2});
  CHECK(next_source(5, 4) == Counts{1, 2, 0, 1});
  CHECK(next_source(3, 1) == Counts{0, 0, 0, 1});
  chooser.restart();
  Counts by_slot(4);
  for (int copy = 0; copy < 12; ++copy) ++by_slot[chooser.next(0)];
  CHECK(by_slot == Counts{4, 4, 0, 4});
}

TEST_CASE("an expert with one replica always goes there") {
  ReplicaChooser chooser(three_replicas(), 2, ReplicaChoice::even, 4);
  chooser.start(3, 0);
  Counts by_slot(4);
  chooser.deal(1, 7, [&](std::uint32_t slot, std::uint32_t n) { by_slot[slot] += n; });
  CHECK(by_slot == Counts{0, 0, 7, 0});
}

TEST_CASE("a placement without an expert is refused") {
  CHECK_THROWS_AS(ReplicaChooser(three_replicas(), 3, ReplicaChoice::even, 4), std::logic_error);
}
