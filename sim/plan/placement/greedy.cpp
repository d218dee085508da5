// Placement `greedy`: replicas by falling load, each to the lightest rank that has room and does
// not hold the expert yet (LPT).
#include <algorithm>
#include <numeric>

#include "sim/plan/placement/replicas.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

class Ranks {
 public:
  Ranks(std::size_t ranks, std::size_t slots) : room_(slots / ranks), load_(ranks), held_(ranks) {}

  void add(std::size_t expert, double load) {
    std::size_t rank = lightest(expert);
    if (rank == held_.size()) rank = lightest(kAnyExpert);
    held_[rank].push_back(expert);
    load_[rank] += load;
  }
  ExpertsByRank take() { return std::move(held_); }

 private:
  static constexpr std::size_t kAnyExpert = std::numeric_limits<std::size_t>::max();

  // With room and without `expert`; the number of ranks where there is none.
  std::size_t lightest(std::size_t expert) const {
    std::size_t best = held_.size();
    for (std::size_t rank = 0; rank < held_.size(); ++rank) {
      if (held_[rank].size() == room_ || (best < held_.size() && load_[rank] >= load_[best]))
        continue;
      if (std::find(held_[rank].begin(), held_[rank].end(), expert) == held_[rank].end())
        best = rank;
    }
    return best;
  }

  std::size_t room_;
  std::vector<double> load_;
  ExpertsByRank held_;
};

Placement place_layer(const std::vector<double>& load, const PlacementInput& input) {
  const Replicas replicas = replicate(load, input);
  std::vector<std::size_t> order = replicas.expert_of;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return replicas.share[a] > replicas.share[b];
  });
  Ranks ranks(static_cast<std::size_t>(input.ranks), order.size());
  for (const std::size_t expert : order) ranks.add(expert, replicas.share[expert]);
  ExpertsByRank experts = ranks.take();
  separate_replicas(experts, replicas.share);
  return placement_of(experts);
}

std::vector<Placement> greedy(const PlacementInput& input) {
  [[maybe_unused]] const std::size_t experts = expert_count(input);
  std::vector<Placement> placements;
  for (const std::vector<double>& load : input.load) placements.push_back(place_layer(load, input));
  return placements;
}

const Registered<PlacementPart> registered{
    "greedy", "heaviest replica first, to the lightest rank with room (LPT)", greedy};

}  // namespace
}  // namespace moesim
