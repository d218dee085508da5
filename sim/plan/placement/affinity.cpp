// Placement `affinity` (ExFlow): tokens find their experts of the next layer on the node, and there
// on the rank, of this one. Layers are placed in turn, each exactly for the layers beside it, to
// and fro until nothing more is kept; first for nodes, then inside each node for its ranks.
#include <algorithm>

#include "sim/plan/placement/balanced_cut.h"
#include "sim/plan/placement/fill_bins.h"
#include "sim/plan/placement/replicas.h"
#include "sim/plan/placement/routing_counts.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

using ByLayer = std::vector<std::vector<std::size_t>>;  // experts or bins, [layer][item]

struct Routing {
  std::vector<ExpertPairs> to_next;  // by layer but the last
  std::vector<Replicas> replicas;    // by layer
  ByLayer replica_count;             // [layer][expert]
  std::uint64_t seed = 0;
};

class Chain {
 public:
  Chain(const Routing& routing, const ByLayer& experts, std::size_t bins)
      : routing_(routing), experts_(experts), bins_(bins) {}

  ByLayer spread() {
    bin_.assign(experts_.size(), {});
    if (bins_ == 1) {
      for (std::size_t layer = 0; layer < bin_.size(); ++layer)
        bin_[layer].assign(experts_[layer].size(), 0);
      return bin_;
    }
    bin_[0] = first_layer();
    for (std::size_t layer = 1; layer < experts_.size(); ++layer) place(layer);
    constexpr int kMostSweeps = 8;
    for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
      std::int64_t gained = 0;
      for (std::size_t i = 0; i < experts_.size(); ++i)
        gained += place(sweep % 2 == 0 ? experts_.size() - 1 - i : i);
      if (gained == 0) break;
    }
    return bin_;
  }

 private:
  // Tokens from replica to replica, in 4096ths: they are dealt evenly over the replicas of both.
  std::int64_t tokens(std::size_t layer, std::size_t from, std::size_t to) const {
    const double both = static_cast<double>(routing_.replica_count[layer][from]) *
                        static_cast<double>(routing_.replica_count[layer + 1][to]);
    return static_cast<std::int64_t>(4096 * routing_.to_next[layer].at(from, to) / both);
  }

  // Experts of the first layer belong together where their tokens go on to the same experts.
  std::vector<std::size_t> first_layer() const {
    const std::vector<std::size_t>& experts = experts_[0];
    ReplicaGraph graph(experts.size());
    for (std::size_t a = 0; a < experts.size(); ++a) {
      graph[a].load = routing_.replicas[0].share[experts[a]];
      for (std::size_t b = 0; b < a; ++b)
        if (const double weight = alike(experts[a], experts[b]); weight != 0)
          add_edge(a, b, TogetherWeight{weight}, graph);
    }
    return balanced_cut(graph, bins_, routing_.seed);
  }
  double alike(std::size_t a, std::size_t b) const {
    if (a == b || routing_.to_next.empty()) return 0;
    const ExpertPairs& next = routing_.to_next[0];
    double common = 0;
    for (std::size_t to = 0; to < next.experts(); ++to)
      common += std::min(next.at(a, to), next.at(b, to));
    return common;
  }

  // Places a layer for those beside it that are placed; returns what is kept beyond what was.
  std::int64_t place(std::size_t layer) {
    const std::vector<std::size_t>& experts = experts_[layer];
    std::vector<std::int64_t> gain(experts.size() * bins_, 0);
    for (std::size_t item = 0; item < experts.size(); ++item) {
      std::int64_t* own = &gain[item * bins_];
      if (layer > 0)
        for (std::size_t i = 0; i < bin_[layer - 1].size(); ++i)
          own[bin_[layer - 1][i]] += tokens(layer - 1, experts_[layer - 1][i], experts[item]);
      if (layer + 1 < bin_.size())
        for (std::size_t i = 0; i < bin_[layer + 1].size(); ++i)
          own[bin_[layer + 1][i]] += tokens(layer, experts[item], experts_[layer + 1][i]);
    }
    const auto kept = [&] {
      std::int64_t sum = 0;
      for (std::size_t item = 0; item < bin_[layer].size(); ++item)
        sum += gain[item * bins_ + bin_[layer][item]];
      return sum;
    };
    const std::int64_t before = kept();
    bin_[layer] = fill_bins(gain, bins_);
    return kept() - before;
  }

  const Routing& routing_;
  const ByLayer& experts_;
  std::size_t bins_;
  ByLayer bin_;
};

Routing routing_of(const PlacementInput& input) {
  Routing routing;
  routing.seed = input.seed;
  for (std::size_t layer = 0; layer < input.load.size(); ++layer) {
    routing.replicas.push_back(replicate(input.load[layer], input));
    routing.replica_count.emplace_back(input.load[layer].size(), 0);
    for (const std::size_t expert : routing.replicas.back().expert_of)
      ++routing.replica_count.back()[expert];
    if (layer + 1 < input.load.size()) routing.to_next.push_back(transitions(input.tokens, layer));
  }
  return routing;
}

// experts[layer] of those in `bin`.
ByLayer in_bin(const ByLayer& experts, const ByLayer& bin_of, std::size_t bin) {
  ByLayer inside(experts.size());
  for (std::size_t layer = 0; layer < experts.size(); ++layer)
    for (std::size_t item = 0; item < experts[layer].size(); ++item)
      if (bin_of[layer][item] == bin) inside[layer].push_back(experts[layer][item]);
  return inside;
}

std::vector<Placement> place(const PlacementInput& input) {
  [[maybe_unused]] const std::size_t count = expert_count(input);
  require_tokens(input, "affinity");
  const Routing routing = routing_of(input);
  ByLayer experts;
  for (const Replicas& replicas : routing.replicas) experts.push_back(replicas.expert_of);
  const auto nodes = static_cast<std::size_t>(input.nodes);
  const std::size_t ranks = static_cast<std::size_t>(input.ranks) / nodes;
  std::vector<ExpertsByRank> placed(input.load.size());
  const ByLayer node_of = Chain(routing, experts, nodes).spread();
  for (std::size_t node = 0; node < nodes; ++node) {
    const ByLayer of_node = in_bin(experts, node_of, node);
    const ByLayer rank_of = Chain(routing, of_node, ranks).spread();
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      ByLayer of_rank = in_bin(of_node, rank_of, rank);
      for (std::size_t layer = 0; layer < placed.size(); ++layer)
        placed[layer].push_back(std::move(of_rank[layer]));
    }
  }
  std::vector<Placement> placements;
  for (std::size_t layer = 0; layer < placed.size(); ++layer) {
    separate_replicas(placed[layer], routing.replicas[layer].share);
    placements.push_back(placement_of(placed[layer]));
  }
  return placements;
}

const Registered<PlacementPart> registered{
    "affinity", "a token's experts of the next layer on the same node and rank (ExFlow)", place};

}  // namespace
}  // namespace moesim
