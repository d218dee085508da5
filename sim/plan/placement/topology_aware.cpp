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

// A layer's replicas with all that a move changes.
struct Solution {
  ExpertsByRank experts;
  std::vector<std::vector<std::size_t>> ranks_of;  // by expert
  LayerTime::State state;
  double seconds = 0, squares = 0;  // time, and the sum of squared loads
};

class Search {
 public:
  Search(const LayerTime& time, std::vector<double> load, ExpertsByRank start, Random random)
      : load_(std::move(load)),
        now_(solution_of(time, std::move(start))),
        best_(now_),
        saved_(now_.state),
        random_(random) {}

  // Where nothing gains for long, goes back to the best and leaves it by a few random swaps.
  void run(int moves) {
    const std::size_t ranks = now_.experts.size(),
                      patience = kPatience * ranks * now_.experts.front().size();
    if (ranks < 2) return;
    std::size_t in_vain = 0;
    for (int move = 0; move < moves; ++move) {
      in_vain = try_one(move % 4 == 0, false) ? 0 : in_vain + 1;
      if (in_vain < patience) continue;
      keep_best();
      for (int kick = 0; kick < kKicks; ++kick) try_one(false, true);
      in_vain = 0;
    }
    keep_best();
  }

  double seconds() const { return best_.seconds; }
  ExpertsByRank take() { return std::move(best_.experts); }

 private:
  static constexpr std::size_t kPatience = 10;  // moves in vain for each slot
  static constexpr int kKicks = 3;

  Solution solution_of(const LayerTime& time, ExpertsByRank start) const {
    std::vector<std::vector<std::size_t>> ranks_of(load_.size());
    for (std::size_t rank = 0; rank < start.size(); ++rank)
      for (const std::size_t expert : start[rank]) ranks_of[expert].push_back(rank);
    std::vector<double> by_rank(start.size(), 0);
    for (std::size_t rank = 0; rank < start.size(); ++rank)
      for (const std::size_t expert : start[rank])
        by_rank[rank] += share(expert, ranks_of[expert].size());
    Solution made{std::move(start), std::move(ranks_of), {time, by_rank}};
    made.seconds = made.state.seconds();
    made.squares = squares(made.state);
    return made;
  }

  static double squares(const LayerTime::State& state) {
    double sum = 0;
    for (const double load : state.load()) sum += load * load;
    return sum;
  }
  double share(std::size_t expert, std::size_t replicas) const {
    return load_[expert] / static_cast<double>(replicas);
  }

  void keep_best() {
    if (now_.seconds < best_.seconds)
      best_ = now_;
    else
      now_ = best_;
  }

  // The heaviest rank every other time: it is mostly the one to relieve.
  std::size_t pick_rank() {
    if (random_.below(2) == 0) return random_.below(now_.experts.size());
    const std::vector<double>& load = now_.state.load();
    return static_cast<std::size_t>(std::max_element(load.begin(), load.end()) - load.begin());
  }

  // One random move; whether it was made. `always`: whatever it does to the time.
  bool try_one(bool replaces, bool always) {
    const std::size_t from = pick_rank(), to = random_.below(now_.experts.size());
    const std::size_t place = random_.below(now_.experts[from].size());
    if (from == to) return false;
    if (replaces)
      return replace(to, place, now_.experts[from][random_.below(now_.experts[from].size())]);
    return swap({from, place}, {to, random_.below(now_.experts[to].size())}, always);
  }

  // Changes loads; keeps them where the time falls, or stays while the loads come closer to each
  // other, which opens the way for later moves.
  template <class Change>
  bool keeps(const Change& change, bool always) {
    saved_ = now_.state;
    change(now_.state);
    const double seconds = now_.state.seconds(), sum = squares(now_.state);
    if (always || seconds < now_.seconds * (1 - kLeastGain) ||
        (seconds <= now_.seconds && sum < now_.squares * (1 - kLeastGain))) {
      now_.seconds = seconds;
      now_.squares = sum;
      return true;
    }
    std::swap(now_.state, saved_);
    return false;
  }

  struct Slot {
    std::size_t rank, place;
  };
  bool swap(Slot a, Slot b, bool always) {
    std::size_t &held_a = now_.experts[a.rank][a.place], &held_b = now_.experts[b.rank][b.place];
    const std::size_t x = held_a, y = held_b;
    if (holds(now_.experts[a.rank], y) || holds(now_.experts[b.rank], x)) return false;
    auto &ranks_x = now_.ranks_of[x], &ranks_y = now_.ranks_of[y];
    const double shift = share(x, ranks_x.size()) - share(y, ranks_y.size());
    const bool kept = keeps(
        [&](LayerTime::State& state) {
          state.add(a.rank, -shift);
          state.add(b.rank, shift);
        },
        always);
    if (!kept) return false;
    std::swap(held_a, held_b);
    std::replace(ranks_x.begin(), ranks_x.end(), a.rank, b.rank);
    std::replace(ranks_y.begin(), ranks_y.end(), b.rank, a.rank);
    return true;
  }

  // A redundant replica on `rank` makes way for one of `expert`.
  bool replace(std::size_t rank, std::size_t place, std::size_t expert) {
    const std::size_t old = now_.experts[rank][place];
    auto &from = now_.ranks_of[old], &to = now_.ranks_of[expert];
    const std::size_t had = from.size(), has = to.size();
    if (had < 2 || holds(now_.experts[rank], expert)) return false;
    const bool kept = keeps(
        [&](LayerTime::State& state) {
          state.add(rank, share(expert, has + 1) - share(old, had));
          for (const std::size_t other : from)
            if (other != rank) state.add(other, share(old, had - 1) - share(old, had));
          for (const std::size_t other : to)
            state.add(other, share(expert, has + 1) - share(expert, has));
        },
        false);
    if (!kept) return false;
    now_.experts[rank][place] = expert;
    from.erase(std::find(from.begin(), from.end(), rank));
    to.push_back(rank);
    return true;
  }

  std::vector<double> load_;  // by expert, token copies a step
  Solution now_, best_;
  LayerTime::State saved_;
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
    of_layer.reserve(candidates.size());
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
