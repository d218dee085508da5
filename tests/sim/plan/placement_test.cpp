// Laws of every placement strategy, the baselines' slots, and the counting of expert load.
#include "sim/plan/placement.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "sim/core/error.h"
#include "sim/core/random.h"
#include "sim/trace/request_rows.h"
#include "sim/trace/routing_trace.h"
#include "tests/sim/trace/hand_made_trace.h"

namespace moesim {
namespace {

struct Shape {
  int experts, slots, ranks, nodes, groups;
};

// With and without redundant experts, groups that divide over the nodes and not, ranks that do not
// divide the experts, a single rank, a rank for every slot, every expert everywhere.
const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{
      {8, 8, 1, 1, 1},   {8, 8, 8, 2, 1},      {8, 12, 4, 2, 2},       {60, 64, 8, 4, 4},
      {15, 24, 8, 1, 1}, {256, 288, 32, 4, 8}, {256, 320, 320, 40, 8}, {6, 24, 4, 2, 1},
      {4, 16, 4, 1, 4},  {10, 40, 8, 2, 5},    {128, 160, 16, 2, 3}};
  return all;
}

PlacementInput input_of(const Shape& shape) {
  PlacementInput input;
  Random random(7);
  input.load.assign(3, {});
  for (auto& layer : input.load)
    for (int expert = 0; expert < shape.experts; ++expert)
      layer.push_back(static_cast<double>(random.below(1000)));
  std::fill(input.load[2].begin(), input.load[2].end(), 0.0);  // a layer nothing was routed to
  input.slots = shape.slots;
  input.ranks = shape.ranks;
  input.nodes = shape.nodes;
  input.groups = shape.groups;
  input.seed = 3;
  return input;
}

// The input of input_of with tokens of a planning window, and loads that are theirs: half of the
// trace's rows, two experts each, the last layer unrouted.
struct RoutedInput {
  RoutingTrace trace;
  std::vector<std::uint32_t> rows = all_rows(40);
  PlacementInput input;

  explicit RoutedInput(const Shape& shape) : input(input_of(shape)) {
    TraceColumns columns;
    columns.header = {1, "laws", shape.experts, 2, {0, 1, 2}, "synthetic", 0, {"all"}, ""};
    const std::size_t tokens = 2 * rows.size();
    Random random(5);
    for (std::size_t token = 0; token < tokens; ++token)
      for (int layer = 0; layer < 3; ++layer) {
        const auto first = random.below(static_cast<std::uint64_t>(shape.experts));
        columns.experts.push_back(layer == 2 ? kNotRouted : static_cast<std::uint16_t>(first));
        columns.experts.push_back(layer == 2 ? kNotRouted : static_cast<std::uint16_t>(first / 2));
      }
    for (auto* column : {&columns.request, &columns.position, &columns.step})
      column->assign(tokens, 0);
    columns.domain.assign(tokens, 0);
    columns.phase.assign(tokens, 0);
    trace = make_trace(std::move(columns));
    input.load = expert_load(trace, rows);
    input.tokens = {&trace, rows};
  }
  RoutedInput(const RoutedInput&) = delete;
};

std::vector<int> experts_on(const Placement& placement, int rank) {
  std::vector<int> experts;
  for (std::size_t slot = 0; slot < placement.rank_of.size(); ++slot)
    if (placement.rank_of[slot] == static_cast<Rank>(rank))
      experts.push_back(static_cast<int>(placement.replica_of[slot]));
  return experts;
}

bool some_rank_has_an_expert_twice(const Placement& placement, int ranks) {
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<int> experts = experts_on(placement, rank);
    if (std::set<int>(experts.begin(), experts.end()).size() < experts.size()) return true;
  }
  return false;
}

void check_laws(const Placement& placement, const Shape& shape) {
  const auto slots = static_cast<std::size_t>(shape.slots);
  REQUIRE(placement.replica_of.size() == slots);
  REQUIRE(placement.rank_of.size() == slots);
  std::vector<int> replicas(static_cast<std::size_t>(shape.experts), 0);
  for (const LogicalExpert expert : placement.replica_of) {
    REQUIRE(static_cast<int>(expert) >= 0);
    REQUIRE(static_cast<int>(expert) < shape.experts);
    ++replicas[index(expert)];
  }
  CHECK(std::count(replicas.begin(), replicas.end(), 0) == 0);
  CHECK(std::is_sorted(placement.rank_of.begin(), placement.rank_of.end()));
  for (int rank = 0; rank < shape.ranks; ++rank)
    CHECK(experts_on(placement, rank).size() == slots / static_cast<std::size_t>(shape.ranks));
}

}  // namespace

TEST_CASE(
    "every placement holds every expert and fills each rank with its slots, the same each time") {
  const auto& catalog = Catalog<PlacementPart>::instance();
  const std::vector<std::string> names = catalog.names();
  for (const char* name : {"affinity", "co_activation", "contiguous", "eplb", "eplb_preserving",
                           "greedy", "round_robin", "topology_aware"})
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  for (const std::string& name : names) {
    for (const Shape& shape : shapes()) {
      CAPTURE(name);
      CAPTURE(shape.slots);
      CAPTURE(shape.ranks);
      const RoutedInput routed(shape);
      const PlacementInput& input = routed.input;
      const auto placements = catalog.at(name, "placement")(input);
      const auto again = catalog.at(name, "placement")(input);
      REQUIRE(placements.size() == input.load.size());
      for (std::size_t layer = 0; layer < placements.size(); ++layer) {
        check_laws(placements[layer], shape);
        CHECK(placements[layer].replica_of == again[layer].replica_of);
        CHECK(placements[layer].rank_of == again[layer].rank_of);
      }
    }
  }
}

TEST_CASE("contiguous holds experts in order and begins again for redundant slots") {
  const Placement placement = Catalog<PlacementPart>::instance().at(
      "contiguous", "placement")(input_of({8, 12, 4, 1, 1}))[0];
  CHECK(experts_on(placement, 0) == std::vector<int>{0, 1, 2});
  CHECK(experts_on(placement, 1) == std::vector<int>{3, 4, 5});
  CHECK(experts_on(placement, 2) == std::vector<int>{6, 7, 0});
  CHECK(experts_on(placement, 3) == std::vector<int>{1, 2, 3});
}

TEST_CASE("round robin deals experts out and moves on by a rank where one would come back") {
  const auto& round_robin = Catalog<PlacementPart>::instance().at("round_robin", "placement");
  // 8 experts on 4 ranks: after 8 cards expert 0 would meet itself on rank 0 and goes to rank 1.
  const Placement even = round_robin(input_of({8, 12, 4, 1, 1}))[0];
  CHECK(experts_on(even, 0) == std::vector<int>{0, 4, 3});
  CHECK(experts_on(even, 1) == std::vector<int>{1, 5, 0});
  CHECK(experts_on(even, 2) == std::vector<int>{2, 6, 1});
  CHECK(experts_on(even, 3) == std::vector<int>{3, 7, 2});
  // 6 experts on 4 ranks: no need to before 12 cards.
  const Placement uneven = round_robin(input_of({6, 8, 4, 1, 1}))[0];
  CHECK(experts_on(uneven, 0) == std::vector<int>{0, 4});
  CHECK(experts_on(uneven, 2) == std::vector<int>{2, 0});
}

TEST_CASE("strategies that see tokens look at the planning window alone") {
  const auto& catalog = Catalog<PlacementPart>::instance();
  RoutedInput routed({60, 64, 8, 4, 4});
  RoutedInput later({60, 64, 8, 4, 4});
  std::vector<std::uint16_t> experts(later.trace.experts.begin(), later.trace.experts.end());
  std::reverse(experts.begin() + 40 * 3 * 2, experts.end() - 2 * 2);  // rows after the window
  later.trace.experts = experts;
  for (const char* name : {"affinity", "co_activation"}) {
    const auto now = catalog.at(name, "placement")(routed.input);
    const auto same = catalog.at(name, "placement")(later.input);
    for (std::size_t layer = 0; layer < now.size(); ++layer)
      CHECK(now[layer].replica_of == same[layer].replica_of);
    CHECK_THROWS_WITH_AS(catalog.at(name, "placement")(input_of({8, 8, 4, 2, 2})),
                         doctest::Contains("needs to see which experts each token chose"),
                         InputError);
  }
}

TEST_CASE("strategies of more than load put no expert on a rank twice") {
  for (const char* name : {"affinity", "co_activation", "greedy"})
    for (int experts = 2; experts <= 10; ++experts)
      for (int ranks = 1; ranks <= 6; ++ranks)
        for (int slots = (experts + ranks - 1) / ranks * ranks; slots <= experts * ranks;
             slots += ranks) {
          const RoutedInput routed({experts, slots, ranks, ranks % 2 == 0 ? 2 : 1, 1});
          for (const Placement& placement :
               Catalog<PlacementPart>::instance().at(name, "placement")(routed.input))
            if (some_rank_has_an_expert_twice(placement, ranks))
              FAIL_CHECK(name << ": " << experts << " experts, " << slots << " slots, " << ranks
                              << " ranks");
        }
}

TEST_CASE("the baselines put no expert on a rank twice") {
  for (const char* name : {"contiguous", "round_robin"})
    for (int experts = 1; experts <= 24; ++experts)
      for (int ranks = 1; ranks <= 12; ++ranks)
        for (int slots = (experts + ranks - 1) / ranks * ranks; slots <= experts * ranks;
             slots += ranks) {
          const Shape shape{experts, slots, ranks, 1, 1};
          const Placement placement =
              Catalog<PlacementPart>::instance().at(name, "placement")(input_of(shape))[0];
          if (some_rank_has_an_expert_twice(placement, ranks))
            FAIL_CHECK(name << ": " << experts << " experts, " << slots << " slots, " << ranks
                            << " ranks");
        }
}

TEST_CASE("expert load counts the choices of the given rows and skips the unrouted") {
  const RoutingTrace trace = make_trace(hand_made_columns());
  const auto load = expert_load(trace, {0, 2, 5});
  // Layer 1: 01, 02, 3-; layer 3: 23, 21, 02.
  REQUIRE(load.size() == 2);
  CHECK(load[0] == std::vector<double>{2, 1, 1, 1});
  CHECK(load[1] == std::vector<double>{1, 1, 3, 1});
  CHECK(expert_load(trace, {})[0] == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("expert load over threads equals a plain count") {
  // 120,000 rows x 3 layers x 8 choices are enough for several threads.
  constexpr std::size_t kTokens = 120'000;
  TraceColumns columns;
  columns.header = {1, "large", 16, 8, {0, 1, 2}, "synthetic", 0, {"all"}, ""};
  Random random(11);
  std::vector<std::vector<double>> expected(3, std::vector<double>(16, 0));
  for (std::size_t token = 0; token < kTokens; ++token)
    for (std::size_t layer = 0; layer < 3; ++layer)
      for (int choice = 0; choice < 8; ++choice) {
        columns.experts.push_back(static_cast<std::uint16_t>(random.below(16)));
        expected[layer][columns.experts.back()] += 1;
      }
  for (auto* column : {&columns.request, &columns.position, &columns.step})
    column->assign(kTokens, 0);
  columns.domain.assign(kTokens, 0);
  columns.phase.assign(kTokens, 0);
  const RoutingTrace trace = make_trace(std::move(columns));
  CHECK(expert_load(trace, all_rows(kTokens)) == expected);
}

TEST_CASE("an expert id beyond the experts is refused when it is used") {
  TraceColumns columns = hand_made_columns();
  RoutingTrace trace = make_trace(columns);
  columns.experts[4 * 4 + 2] = 9;  // row 4, second layer
  trace.experts = columns.experts;
  CHECK_NOTHROW(expert_load(trace, {0, 1}));
  CHECK_THROWS_WITH_AS(
      expert_load(trace, {1, 4}),
      "trace: token row 4, layer 3: expert 9, allowed: 0 to 3, and 65535 for not routed",
      InputError);
}

TEST_CASE("rank loads, balancedness and moves are those counted by hand") {
  // Expert 0 (load 6) on ranks 0 and 1, expert 1 (load 2) on rank 0, expert 2 (load 4) on rank 1.
  const Placement now{{LogicalExpert{0}, LogicalExpert{1}, LogicalExpert{2}, LogicalExpert{0}},
                      {Rank{0}, Rank{0}, Rank{1}, Rank{1}}};
  const std::vector<double> by_rank = rank_load(now, {6, 2, 4}, 2);
  CHECK(by_rank == std::vector<double>{5, 7});
  CHECK(balancedness(by_rank) == doctest::Approx(6.0 / 7));
  CHECK(balancedness(std::vector<double>{0, 0}) == 1);
  // Before, rank 0 held 1 and 2 and rank 1 held 2 and 0: only the 0 on rank 0 is new.
  const Placement before{{LogicalExpert{1}, LogicalExpert{2}, LogicalExpert{2}, LogicalExpert{0}},
                         {Rank{0}, Rank{0}, Rank{1}, Rank{1}}};
  CHECK(replicas_that_move(before, now) == 1);
  CHECK(replicas_that_move(now, now) == 0);
}

TEST_CASE("an unknown placement is refused with the nearest name") {
  CHECK_THROWS_WITH_AS(Catalog<PlacementPart>::instance().at("contigous", "placement"),
                       doctest::Contains("did you mean \"contiguous\"?"), InputError);
}

}  // namespace moesim
