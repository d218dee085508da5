// Placements by what tokens choose together, on traces whose best placement is known.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "sim/core/random.h"
#include "sim/plan/placement.h"
#include "sim/plan/placement/balanced_cut.h"
#include "sim/trace/request_rows.h"
#include "sim/trace/routing_trace.h"

namespace moesim {
namespace {

// 32 experts, top-4, 4 layers. Tokens have one of 8 topics; a topic has 4 experts of its own in
// every layer, scattered by a permutation. A choice is the topic's but for one in `noise`.
struct Topics {
  static constexpr int kExperts = 32, kTopK = 4, kLayers = 4, kTopics = 8;
  RoutingTrace trace;
  std::vector<std::uint32_t> rows;
  PlacementInput input;

  explicit Topics(std::uint64_t noise, std::size_t tokens = 2000) : rows(all_rows(tokens)) {
    TraceColumns columns;
    columns.header = {1, "topics", kExperts, kTopK, {}, "synthetic", 0, {"all"}, ""};
    Random random(31);
    std::vector<std::vector<std::uint16_t>> scattered(kLayers);
    for (int layer = 0; layer < kLayers; ++layer) {
      columns.header.layer_ids.push_back(layer);
      for (std::uint16_t expert = 0; expert < kExperts; ++expert)
        scattered[static_cast<std::size_t>(layer)].push_back(expert);
      random.shuffle(std::span(scattered[static_cast<std::size_t>(layer)]));
    }
    for (std::size_t token = 0; token < tokens; ++token) {
      const std::size_t topic = random.below(kTopics);
      for (const auto& of_layer : scattered) {
        std::set<std::uint16_t> chosen;
        for (std::size_t k = 0; k < kTopK; ++k)
          if (noise == 0 || random.below(noise) != 0) chosen.insert(of_layer[topic * kTopK + k]);
        while (chosen.size() < kTopK)
          chosen.insert(static_cast<std::uint16_t>(random.below(kExperts)));
        columns.experts.insert(columns.experts.end(), chosen.begin(), chosen.end());
      }
    }
    for (auto* column : {&columns.request, &columns.position, &columns.step})
      column->assign(tokens, 0);
    columns.domain.assign(tokens, 0);
    columns.phase.assign(tokens, 0);
    trace = make_trace(std::move(columns));
    input.load = expert_load(trace, rows);
    input.slots = kExperts;
    input.ranks = 8;
    input.nodes = 2;
    input.tokens = {&trace, rows};
  }
  Topics(const Topics&) = delete;

  std::vector<Placement> place(const char* strategy) const {
    return Catalog<PlacementPart>::instance().at(strategy, "placement")(input);
  }
};

// The rank (or, ranks_per_unit at a time, the node) of each expert's only replica.
std::vector<int> unit_of(const Placement& placement, int ranks_per_unit) {
  std::vector<int> unit(Topics::kExperts);
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot)
    unit[index(placement.replica_of[slot])] =
        static_cast<int>(placement.rank_of[slot]) / ranks_per_unit;
  return unit;
}

// Different ranks or nodes that a token's copies go to, mean over tokens and layers.
double units_per_token(const Topics& topics,
                       const std::vector<Placement>& placements,
                       int ranks_per_unit) {
  double sum = 0;
  for (std::size_t layer = 0; layer < placements.size(); ++layer) {
    const std::vector<int> unit = unit_of(placements[layer], ranks_per_unit);
    for (const std::uint32_t row : topics.rows) {
      std::set<int> units;
      for (const std::uint16_t expert : topics.trace.choice(row, layer)) units.insert(unit[expert]);
      sum += static_cast<double>(units.size());
    }
  }
  return sum / static_cast<double>(topics.rows.size() * placements.size());
}

// Share of the pairs (expert of layer l, expert of layer l + 1) of a token on two ranks or nodes.
double crossing_share(const Topics& topics,
                      const std::vector<Placement>& placements,
                      int ranks_per_unit) {
  double crossing = 0, all = 0;
  for (std::size_t layer = 0; layer + 1 < placements.size(); ++layer) {
    const std::vector<int> unit = unit_of(placements[layer], ranks_per_unit);
    const std::vector<int> next = unit_of(placements[layer + 1], ranks_per_unit);
    for (const std::uint32_t row : topics.rows)
      for (const std::uint16_t from : topics.trace.choice(row, layer))
        for (const std::uint16_t to : topics.trace.choice(row, layer + 1)) {
          crossing += unit[from] != next[to] ? 1 : 0;
          all += 1;
        }
  }
  return crossing / all;
}

double cut_weight(const ReplicaGraph& graph, const std::vector<std::size_t>& part) {
  double cut = 0;
  const auto [edge, last] = edges(graph);
  for (auto e = edge; e != last; ++e)
    if (part[source(*e, graph)] != part[target(*e, graph)]) cut += graph[*e].weight;
  return cut;
}

// The least cut into two halves, all of them tried.
double least_cut(const ReplicaGraph& graph) {
  const std::size_t size = num_vertices(graph);
  std::vector<std::size_t> part(size, 0);
  std::fill(part.begin() + static_cast<std::ptrdiff_t>(size / 2), part.end(), 1);
  double least = cut_weight(graph, part);
  while (std::next_permutation(part.begin(), part.end()))
    least = std::min(least, cut_weight(graph, part));
  return least;
}

}  // namespace

TEST_CASE("co_activation finds topics: every token stays on one rank") {
  const Topics pure(0);
  CHECK(units_per_token(pure, pure.place("co_activation"), 1) == 1);
  CHECK(units_per_token(pure, pure.place("contiguous"), 1) > 2);
}

TEST_CASE("co_activation sends noisy tokens to fewer ranks and nodes than experts in order") {
  const Topics noisy(4);
  const auto together = noisy.place("co_activation"), in_order = noisy.place("contiguous");
  CHECK(units_per_token(noisy, together, 1) < 0.8 * units_per_token(noisy, in_order, 1));
  CHECK(units_per_token(noisy, together, 4) < units_per_token(noisy, in_order, 4));
}

TEST_CASE("affinity keeps the tokens of a topic on their rank through all layers") {
  const Topics pure(0);
  CHECK(crossing_share(pure, pure.place("affinity"), 1) == 0);
  CHECK(crossing_share(pure, pure.place("contiguous"), 1) > 0.8);
}

TEST_CASE("affinity lowers the transitions between nodes and ranks of noisy tokens") {
  const Topics noisy(4);
  const auto near = noisy.place("affinity"), in_order = noisy.place("contiguous");
  CHECK(crossing_share(noisy, near, 4) < 0.8 * crossing_share(noisy, in_order, 4));
  CHECK(crossing_share(noisy, near, 1) < 0.8 * crossing_share(noisy, in_order, 1));
}

TEST_CASE("with redundant experts the hottest are replicated as eplb does") {
  Topics noisy(4);
  noisy.input.slots = 40;
  for (const char* strategy : {"co_activation", "affinity"}) {
    const auto placements = noisy.place(strategy);
    for (std::size_t layer = 0; layer < placements.size(); ++layer) {
      std::vector<int> replicas(Topics::kExperts, 0);
      for (const LogicalExpert expert : placements[layer].replica_of) ++replicas[index(expert)];
      const auto& load = noisy.input.load[layer];
      // No redundant replica would have done more for another expert.
      for (std::size_t a = 0; a < load.size(); ++a)
        for (std::size_t b = 0; b < load.size(); ++b)
          if (replicas[a] > 1) CHECK(load[a] / (replicas[a] - 1) >= load[b] / replicas[b]);
    }
  }
}

TEST_CASE("a balanced cut of a small graph is near the least of all") {
  Random random(41);
  double found = 0, least = 0;
  for (int round = 0; round < 30; ++round) {
    ReplicaGraph graph(12);
    for (std::size_t a = 0; a < 12; ++a)
      for (std::size_t b = 0; b < a; ++b)
        if (random.below(2) == 0)
          add_edge(a, b, TogetherWeight{1.0 + static_cast<double>(random.below(20))}, graph);
    const auto part = balanced_cut(graph, 2, 1);
    CHECK(std::count(part.begin(), part.end(), 0U) == 6);
    const double own = cut_weight(graph, part), best = least_cut(graph);
    CHECK(own >= best);
    CHECK(own <= 1.15 * best);
    found += own;
    least += best;
  }
  CHECK(found <= 1.05 * least);
}

}  // namespace moesim
