// Placement `co_activation`: experts that tokens choose together go to one rank: the graph of
// replicas, joined by how many tokens choose both, is cut into nodes and each node into ranks.
#include "sim/plan/placement/balanced_cut.h"
#include "sim/plan/placement/replicas.h"
#include "sim/plan/placement/routing_counts.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

// Copies are dealt evenly over replicas, so two of them see the part of the tokens that both of
// their experts have, over the replicas of each.
struct Weights {
  const ExpertPairs& pairs;
  std::vector<double> replicas;  // by expert
  double apart = 0;              // of two replicas of one expert

  double operator()(std::size_t a, std::size_t b) const {
    return a == b ? apart : pairs.at(a, b) / (replicas[a] * replicas[b]);
  }
};

ReplicaGraph graph_of(const std::vector<std::size_t>& experts,
                      const Weights& weights,
                      std::span<const float> share) {
  ReplicaGraph graph(experts.size());
  for (std::size_t a = 0; a < experts.size(); ++a) {
    graph[a].load = share[experts[a]];
    for (std::size_t b = 0; b < a; ++b)
      if (const double weight = weights(experts[a], experts[b]); weight != 0)
        add_edge(a, b, TogetherWeight{weight}, graph);
  }
  return graph;
}

// `experts` cut into equal parts.
ExpertsByRank cut(const std::vector<std::size_t>& experts,
                  std::size_t parts,
                  const Weights& weights,
                  const Replicas& replicas,
                  std::uint64_t seed) {
  const std::vector<std::size_t> part =
      balanced_cut(graph_of(experts, weights, replicas.share), parts, seed);
  ExpertsByRank by_part(parts);
  for (std::size_t i = 0; i < experts.size(); ++i) by_part[part[i]].push_back(experts[i]);
  return by_part;
}

Placement place_layer(const PlacementInput& input, std::size_t layer) {
  const Replicas replicas = replicate(input.load[layer], input);
  const ExpertPairs pairs = co_activation(input.tokens, layer);
  Weights of_nodes{pairs, std::vector<double>(pairs.experts(), 0)};
  for (const std::size_t expert : replicas.expert_of) of_nodes.replicas[expert] += 1;
  Weights of_ranks = of_nodes;  // on a rank, more against than a replica can gain by all others
  of_ranks.apart = -1 - static_cast<double>(input.tokens.rows.size() * pairs.experts());
  const auto nodes = static_cast<std::size_t>(input.nodes);
  const std::size_t ranks = static_cast<std::size_t>(input.ranks) / nodes;
  ExpertsByRank experts;
  for (const auto& of_node : cut(replicas.expert_of, nodes, of_nodes, replicas, input.seed))
    for (auto& of_rank : cut(of_node, ranks, of_ranks, replicas, input.seed))
      experts.push_back(std::move(of_rank));
  separate_replicas(experts, replicas.share);
  return placement_of(experts);
}

std::vector<Placement> place(const PlacementInput& input) {
  [[maybe_unused]] const std::size_t experts = expert_count(input);
  require_tokens(input, "co_activation");
  std::vector<Placement> placements;
  for (std::size_t layer = 0; layer < input.load.size(); ++layer)
    placements.push_back(place_layer(input, layer));
  return placements;
}

const Registered<PlacementPart> registered{
    "co_activation", "experts that tokens choose together on one node and rank (METIS)", place};

}  // namespace
}  // namespace moesim
