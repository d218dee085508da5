// Replicas on their way between placements: as many as the placements say, from who holds them.
#include "sim/plan/migration.h"

#include <doctest/doctest.h>

#include "sim/plan/placement.h"

namespace moesim {
namespace {

// `experts` by slot, slots dealt to ranks in order.
Placement placement_of(const std::vector<int>& experts, std::size_t ranks) {
  Placement placement;
  for (std::size_t slot = 0; slot < experts.size(); ++slot) {
    placement.replica_of.push_back(LogicalExpert{experts[slot]});
    placement.rank_of.push_back(id_of<Rank>(slot * ranks / experts.size()));
  }
  return placement;
}

Migration between(const std::vector<int>& from, const std::vector<int>& to, int groups = 1) {
  return migration_between({placement_of(from, 4)}, {placement_of(to, 4)}, {4 * groups, 4, 1}, 2,
                           {0, 1});
}

}  // namespace

TEST_CASE("nothing moves between equal placements, nor within a rank") {
  CHECK(between({0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 2, 3, 5, 4, 6, 7}).moved() == 0);
  CHECK_FALSE(between({0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}).replicas[0]);
}

TEST_CASE("replicas come from the own node where one holds the expert, in turn") {
  // Ranks 0 and 1 are a node, 2 and 3 another. Expert 0 is on ranks 0 and 2.
  const std::vector<int> from{0, 1, 2, 3, 0, 4, 5, 6}, to{0, 1, 0, 3, 2, 4, 0, 6};
  const Migration migration = between(from, to);
  const RowCounts& rows = *migration.replicas[0];
  CHECK(migration.moved() == 3);
  CHECK(migration.moved() == replicas_that_move(placement_of(from, 4), placement_of(to, 4)));
  CHECK(rows.at(0, 1) == 1);  // expert 0 within the first node
  CHECK(rows.at(2, 3) == 1);  // expert 0 within the second
  CHECK(rows.at(1, 2) == 1);  // expert 2 is nowhere else
}

TEST_CASE("of several holders the one that has sent least sends") {
  // Expert 0 on ranks 0 and 1; ranks 2 and 3 want it and are of the other node.
  const Migration migration = between({0, 1, 0, 2, 3, 4, 5, 6}, {0, 1, 0, 2, 0, 4, 0, 6});
  CHECK(migration.replicas[0]->at(0, 2) == 1);
  CHECK(migration.replicas[0]->at(1, 3) == 1);
}

TEST_CASE("every EP group moves alike, and only the layers asked for") {
  const Migration migration = between({0, 1, 2, 3, 4, 5, 6, 7}, {0, 2, 1, 3, 4, 5, 6, 7}, 3);
  CHECK(migration.moved() == 6);
  CHECK(migration.replicas[0]->at(4, 5) == 1);
  CHECK(migration.replicas[0]->at(0, 5) == 0);
  const std::vector<Placement> from(3, placement_of({0, 1, 2, 3}, 4)),
      to(3, placement_of({1, 0, 2, 3}, 4));
  const Migration middle = migration_between(from, to, {4, 4, 1}, 2, {1, 2});
  CHECK_FALSE(middle.replicas[0]);
  CHECK(middle.replicas[1]->total() == 2);
  CHECK_FALSE(middle.replicas[2]);
}

}  // namespace moesim
