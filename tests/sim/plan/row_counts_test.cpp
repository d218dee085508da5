// Sparse rows hold what the full matrix holds, however many of its places are zero.
#include "sim/plan/row_counts.h"

#include <doctest/doctest.h>

#include "sim/core/random.h"

using namespace moesim;

TEST_CASE("few or many destinations, every count is found, ascending") {
  Random random(7);
  for (const std::size_t destinations : {1, 63, 64, 65, 300}) {
    CAPTURE(destinations);
    RowCounts counts;
    std::vector<std::vector<std::uint32_t>> rows;
    for (const std::uint64_t one_in : {1, 50, 50, 2, 10, 10, 1, 1000, 1000}) {
      std::vector<std::uint32_t> of_source(destinations);
      for (std::uint32_t& some : of_source)
        if (random.below(one_in) == 0) some = 1 + static_cast<std::uint32_t>(random.below(5));
      rows.push_back(of_source);
      counts.add_source(of_source);
      CHECK(of_source == std::vector<std::uint32_t>(destinations));  // left all zero
    }
    REQUIRE(counts.sources() == rows.size());
    for (std::size_t source = 0; source < rows.size(); ++source) {
      std::vector<std::uint32_t> found(destinations);
      std::size_t next = 0;
      for (const auto [destination, some] : counts.of(source)) {
        CHECK(destination >= next);
        CHECK(some > 0);
        next = destination + 1;
        found[destination] = some;
      }
      CHECK(found == rows[source]);
    }
  }
}
