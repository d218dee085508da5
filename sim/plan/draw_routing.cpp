// Routing of a benchmark: expert choices drawn rank by rank and counted at once.
#include "sim/plan/draw_routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/random.h"

namespace moesim {
namespace {

// Draws the experts of one token.
class Chooser {
 public:
  explicit Chooser(const RoutingDraw& draw)
      : draw_(draw),
        per_rank_((draw.experts + draw.ranks - 1) / draw.ranks),
        nodes_((draw.ranks + draw.ranks_per_node - 1) / draw.ranks_per_node),
        order_(static_cast<std::size_t>(nodes_)) {
    std::iota(order_.begin(), order_.end(), 0);
    const bool skewed = draw.skew_exponent > 0 || !draw.weights.empty();
    for (int expert = 0; skewed && expert < draw.experts; ++expert)
      cumulative_.push_back((cumulative_.empty() ? 0 : cumulative_.back()) + weight_of(expert));
  }

  int experts_per_rank() const { return per_rank_; }

  void choose(Random& random, int rank, int token, std::vector<int>& chosen) {
    chosen.clear();
    if (draw_.balanced) return choose_balanced(rank, token, chosen);
    if (limited()) pick_nodes(random);
    while (static_cast<int>(chosen.size()) < draw_.top_k)
      chosen.push_back(another_expert(random, chosen));
  }

 private:
  double weight_of(int expert) const {
    return draw_.weights.empty() ? std::pow(expert + 1.0, -draw_.skew_exponent)
                                 : draw_.weights[static_cast<std::size_t>(expert)];
  }

  bool limited() const { return draw_.nodes_limit > 0 && draw_.nodes_limit < nodes_; }

  void pick_nodes(Random& random) {  // order_[0 .. limit) are the nodes of this token
    for (std::size_t i = 0; i < static_cast<std::size_t>(draw_.nodes_limit); ++i)
      std::swap(order_[i], order_[i + random.below(order_.size() - i)]);
  }

  bool allowed(int expert) const {
    const int node = expert / per_rank_ / draw_.ranks_per_node;
    return !limited() || std::find(order_.begin(), order_.begin() + draw_.nodes_limit, node) !=
                             order_.begin() + draw_.nodes_limit;
  }

  int draw_expert(Random& random) {
    if (!cumulative_.empty()) return skewed(random);
    return static_cast<int>(random.below(static_cast<std::uint64_t>(draw_.experts)));
  }

  // Drawn again until one is new; where the rest is all but never drawn, the first of the rest.
  int another_expert(Random& random, const std::vector<int>& chosen) {
    constexpr int kMostTries = 1000;
    const auto fresh = [&](int expert) {
      return allowed(expert) && std::find(chosen.begin(), chosen.end(), expert) == chosen.end();
    };
    for (int tries = 0; tries < kMostTries; ++tries)
      if (const int expert = draw_expert(random); fresh(expert)) return expert;
    for (int expert = 0; expert < draw_.experts; ++expert)
      if (fresh(expert)) return expert;
    throw InputError("the nodes that a token may reach hold fewer than " +
                     std::to_string(draw_.top_k) + " experts");
  }

  int skewed(Random& random) {
    const double at = random.uniform() * cumulative_.back();
    return static_cast<int>(std::upper_bound(cumulative_.begin(), cumulative_.end(), at) -
                            cumulative_.begin());
  }

  // Choice j of a token goes to the next rank but `stride`, tokens and sources one further each, so
  // every expert gets as many (within one) and a token reaches min(ranks, top_k) ranks.
  void choose_balanced(int rank, int token, std::vector<int>& chosen) const {
    const int stride = std::max(1, draw_.ranks / draw_.top_k);
    for (int j = 0; j < draw_.top_k; ++j) {
      const int to = (rank + token + j * stride) % draw_.ranks;
      const int held = std::min(per_rank_, draw_.experts - to * per_rank_);
      chosen.push_back(to * per_rank_ +
                       (token * draw_.top_k + j) / draw_.ranks % std::max(1, held));
    }
  }

  const RoutingDraw draw_;
  int per_rank_, nodes_;
  std::vector<int> order_;
  std::vector<double> cumulative_;  // by expert; of skewed draws only
};

// What one source's tokens add to.
struct SourceRows {
  std::vector<std::uint32_t> copies, ranks, nodes;
};

}  // namespace

std::shared_ptr<const RoutedCopies> draw_routing(const RoutingDraw& draw) {
  Chooser chooser(draw);
  const auto ranks = static_cast<std::size_t>(draw.ranks);
  const auto per_node = static_cast<std::size_t>(draw.ranks_per_node);
  const auto per_rank = static_cast<std::size_t>(chooser.experts_per_rank());
  auto routed = std::make_shared<RoutedCopies>();
  routed->ranks = draw.ranks;
  routed->tokens.assign(ranks, static_cast<std::uint32_t>(draw.tokens_per_rank));
  routed->per_physical_expert.assign(ranks * per_rank, 0);
  SourceRows rows{std::vector<std::uint32_t>(ranks), std::vector<std::uint32_t>(ranks),
                  std::vector<std::uint32_t>((ranks + per_node - 1) / per_node)};
  std::vector<int> chosen;
  std::vector<std::uint32_t> of_source(routed->per_physical_expert.size());
  std::uint32_t most = 0;
  for (std::size_t source = 0; source < ranks; ++source) {
    Random random = Random::named(draw.seed, "source " + std::to_string(source));
    for (int token = 0; token < draw.tokens_per_rank; ++token) {
      chooser.choose(random, static_cast<int>(source), token, chosen);
      std::sort(chosen.begin(), chosen.end());
      std::size_t last_rank = ranks, last_node = ranks;
      for (const int expert : chosen) {
        const std::size_t rank = static_cast<std::size_t>(expert) / per_rank;
        ++routed->per_physical_expert[static_cast<std::size_t>(expert)];
        most = std::max(most, ++of_source[static_cast<std::size_t>(expert)]);
        ++rows.copies[rank];
        if (rank != last_rank) ++rows.ranks[rank];
        if (rank / per_node != last_node) ++rows.nodes[rank / per_node];
        last_rank = rank;
        last_node = rank / per_node;
      }
    }
    std::fill(of_source.begin(), of_source.end(), 0);
    routed->copies.add_source(rows.copies);
    routed->rank_tokens.add_source(rows.ranks);
    routed->node_tokens.add_source(rows.nodes);
  }
  routed->most_for_expert = {most};
  return routed;
}

}  // namespace moesim
