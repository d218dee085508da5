// Placement `topology_aware`: EPLB's placement improved by local search (swap two replicas, replace
// a redundant one) as long as the time of a layer's step on this cluster falls. Anytime: the budget
// is a number of moves tried, and what has been found is never worse than the start.
#include <algorithm>
#include <numeric>

#include "sim/core/random.h"
#include "sim/plan/placement/layer_time.h"
#include "sim/plan/placement/replicas.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

constexpr int kMovesPerLayer = 40'000;  // tried
constexpr double kLeastGain = 1e-12;    // of the time, so that rounding is no gain

bool holds(const std::vector<std::size_t>& experts, std::size_t expert) {
  return std::find(experts.begin(), experts.end(), expert) != experts.end();
}

class Search {
 public:
  Search(const LayerTime& time, std::vector<double> load, ExpertsByRank start, Random random)
      : load_(std::move(load)),
        experts_(std::move(start)),
        ranks_of_(load_.size()),
        state_(time, loads(experts_)),
        saved_(state_),
        seconds_(state_.seconds()),
        squares_(squares()),
        random_(random) {
    for (std::size_t rank = 0; rank < experts_.size(); ++rank)
      for (const std::size_t expert : experts_[rank]) ranks_of_[expert].push_back(rank);
  }

  void run(int moves) {
    if (experts_.size() < 2) return;
    for (int move = 0; move < moves; ++move) {
      const std::size_t from = pick_rank(), to = random_.below(experts_.size());
      const std::size_t place = random_.below(experts_[from].size());
      if (from == to) continue;
      if (move % 4 == 0)
        replace(to, place, experts_[from][random_.below(experts_[from].size())]);
      else
        swap(from, place, to, random_.below(experts_[to].size()));
    }
  }

  double seconds() const { return seconds_; }
  ExpertsByRank take() { return std::move(experts_); }

 private:
  std::vector<double> loads(const ExpertsByRank& experts) const {
    std::vector<double> replicas(load_.size(), 0), by_rank;
    for (const auto& of_rank : experts)
      for (const std::size_t expert : of_rank) replicas[expert] += 1;
    for (const auto& of_rank : experts) {
      by_rank.push_back(0);
      for (const std::size_t expert : of_rank) by_rank.back() += load_[expert] / replicas[expert];
    }
    return by_rank;
  }
  double squares() const {
    double sum = 0;
    for (const double load : state_.load()) sum += load * load;
    return sum;
  }
  double share(std::size_t expert, std::size_t replicas) const {
    return load_[expert] / static_cast<double>(replicas);
  }

  // The heaviest rank every other time: it is mostly the one to relieve.
  std::size_t pick_rank() {
    if (random_.below(2) == 0) return random_.below(experts_.size());
    const std::vector<double>& load = state_.load();
    return static_cast<std::size_t>(std::max_element(load.begin(), load.end()) - load.begin());
  }

  // Changes loads; keeps them where the time falls, or stays while the loads come closer to each
  // other, which opens the way for later moves.
  template <class Change>
  bool improves(const Change& change) {
    saved_ = state_;
    change();
    const double seconds = state_.seconds(), squares_now = squares();
    const double least = seconds_ * kLeastGain;
    if (seconds < seconds_ - least ||
        (seconds <= seconds_ && squares_now < squares_ * (1 - kLeastGain))) {
      seconds_ = seconds;
      squares_ = squares_now;
      return true;
    }
    std::swap(state_, saved_);
    return false;
  }

  void swap(std::size_t a, std::size_t place_a, std::size_t b, std::size_t place_b) {
    const std::size_t x = experts_[a][place_a], y = experts_[b][place_b];
    if (x == y || holds(experts_[a], y) || holds(experts_[b], x)) return;
    const double shift = share(x, ranks_of_[x].size()) - share(y, ranks_of_[y].size());
    const bool better = improves([&] {
      state_.add(a, -shift);
      state_.add(b, shift);
    });
    if (!better) return;
    std::swap(experts_[a][place_a], experts_[b][place_b]);
    std::replace(ranks_of_[x].begin(), ranks_of_[x].end(), a, b);
    std::replace(ranks_of_[y].begin(), ranks_of_[y].end(), b, a);
  }

  // A redundant replica on `rank` makes way for one of `expert`.
  void replace(std::size_t rank, std::size_t place, std::size_t expert) {
    const std::size_t old = experts_[rank][place];
    const std::size_t had = ranks_of_[old].size(), has = ranks_of_[expert].size();
    if (had < 2 || holds(experts_[rank], expert)) return;
    const bool better = improves([&] {
      state_.add(rank, share(expert, has + 1) - share(old, had));
      for (const std::size_t other : ranks_of_[old])
        if (other != rank) state_.add(other, share(old, had - 1) - share(old, had));
      for (const std::size_t other : ranks_of_[expert])
        state_.add(other, share(expert, has + 1) - share(expert, has));
    });
    if (!better) return;
    experts_[rank][place] = expert;
    ranks_of_[old].erase(std::find(ranks_of_[old].begin(), ranks_of_[old].end(), rank));
    ranks_of_[expert].push_back(rank);
  }

  std::vector<double> load_;  // by expert, token copies a step
  ExpertsByRank experts_;
  std::vector<std::vector<std::size_t>> ranks_of_;  // by expert
  LayerTime::State state_, saved_;
  double seconds_, squares_;  // of what experts_ is
  Random random_;
};

// The placements of load alone, global and by expert groups where they divide.
std::vector<std::vector<Placement>> starts(const PlacementInput& input) {
  const auto& catalog = Catalog<PlacementPart>::instance();
  const auto groups = static_cast<std::size_t>(input.groups);
  std::vector<std::vector<Placement>> all{catalog.at("greedy", "placement")(input)};
  if (input.groups % input.nodes != 0 || input.load.front().size() % groups == 0)
    all.push_back(catalog.at("eplb", "placement")(input));
  PlacementInput global = input;
  global.groups = global.nodes = 1;
  all.push_back(catalog.at("eplb", "placement")(global));
  return all;
}

// Whether no expert has more replicas than there are ranks: else some rank must hold one twice.
bool can_separate(const Placement& placement, std::size_t experts, std::size_t ranks) {
  std::vector<std::size_t> replicas(experts, 0);
  for (const LogicalExpert expert : placement.replica_of)
    if (++replicas[index(expert)] > ranks) return false;
  return true;
}

class LayerSearch {
 public:
  LayerSearch(const PlacementInput& input, const LayerTime& time, std::size_t layer)
      : time_(time),
        load_(input.load[layer]),
        ranks_(static_cast<std::size_t>(input.ranks)),
        random_(Random::named(input.seed + layer, "topology_aware")) {
    const double copies = std::accumulate(load_.begin(), load_.end(), 0.0);
    if (input.cluster.fabric == nullptr || copies == 0) return;
    for (double& load : load_) load *= input.cluster.step_copies / copies;
  }

  // The best of the starts, improved. One of them as it is where it is still better, which only a
  // start with an expert twice on a rank can be.
  Placement improve(const std::vector<const Placement*>& all) {
    const Placement* best = all.front();
    ExpertsByRank start = experts_by_rank(*best, ranks_);
    for (const Placement* one : all) {
      if (seconds(*one) < seconds(*best)) best = one;
      if (!can_separate(*one, load_.size(), ranks_)) continue;
      ExpertsByRank experts = experts_by_rank(*one, ranks_);
      separate_replicas(experts, std::vector<float>(load_.begin(), load_.end()));
      if (seconds(placement_of(experts)) < seconds(placement_of(start))) start = experts;
    }
    Search search(time_, load_, std::move(start), random_);
    search.run(kMovesPerLayer);
    if (search.seconds() > seconds(*best)) return *best;
    return placement_of(search.take());
  }

 private:
  double seconds(const Placement& placement) const {
    return LayerTime::State(time_, rank_load(placement, load_, ranks_)).seconds();
  }

  const LayerTime& time_;
  std::vector<double> load_;  // by expert, token copies a step
  std::size_t ranks_;
  Random random_;
};

std::vector<Placement> place(const PlacementInput& input) {
  [[maybe_unused]] const std::size_t count = expert_count(input);
  const LayerTime time(input);
  const auto candidates = starts(input);
  std::vector<Placement> placements;
  for (std::size_t layer = 0; layer < input.load.size(); ++layer) {
    std::vector<const Placement*> of_layer;
    for (const std::vector<Placement>& candidate : candidates)
      of_layer.push_back(&candidate[layer]);
    placements.push_back(LayerSearch(input, time, layer).improve(of_layer));
  }
  return placements;
}

const Registered<PlacementPart> registered{
    "topology_aware", "local search for the shortest step on this cluster's links and GPUs", place};

}  // namespace
}  // namespace moesim
