// Placement `eplb_preserving`: about EPLB's balance with few moves: what is in place is mended by
// replicas exchanged and swapped until its largest rank load is near EPLB's. Where that is not
// possible, or takes more moves, EPLB's own placement with its ranks renamed to match best.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "sim/plan/placement/eplb.h"
#include "sim/plan/placement/fill_bins.h"
#include "sim/plan/placement/replicas.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

constexpr double kTolerance = 0.02;  // above EPLB's largest rank load

// The ranks of one node (of all, where EPLB knows no groups) with the experts they share.
struct Region {
  std::size_t first = 0, last = 0;     // ranks
  std::vector<std::size_t> experts;    // ascending
  std::map<std::size_t, float> share;  // by expert: load a replica
};

double load_of(const std::vector<std::size_t>& experts, const Region& region) {
  double load = 0;
  for (const std::size_t expert : experts) load += region.share.at(expert);
  return load;
}

bool holds(const std::vector<std::size_t>& experts, std::size_t expert) {
  return std::find(experts.begin(), experts.end(), expert) != experts.end();
}

// Mends the ranks of a region in place.
class Mender {
 public:
  Mender(ExpertsByRank& experts, Region& region) : experts_(experts), region_(region) {}

  // Every expert gets as many replicas as EPLB gives it: those too many make way on the rank that
  // is lightest with the new one. False where no rank can take one.
  bool change_counts(const std::vector<double>& load) {
    const std::size_t slots = (region_.last - region_.first) * experts_[region_.first].size();
    std::vector<float> own;
    for (const std::size_t expert : region_.experts)
      own.push_back(static_cast<float>(load[expert]));
    const Replicas wanted = replicate(own, slots, region_.last - region_.first);
    std::map<std::size_t, int> excess;
    for (const std::size_t i : wanted.expert_of) --excess[region_.experts[i]];
    for (std::size_t i = 0; i < own.size(); ++i)
      region_.share[region_.experts[i]] = wanted.share[i];
    for (std::size_t rank = region_.first; rank < region_.last; ++rank)
      for (const std::size_t expert : experts_[rank]) ++excess[expert];
    for (const auto& [expert, count] : std::map<std::size_t, int>(excess))
      for (int i = count; i < 0; ++i)
        if (!add_replica(expert, excess)) return false;
    return true;
  }

  // Swaps experts of the heaviest rank with lighter ones of others until it is within the limit.
  bool level(double limit) {
    for (;;) {
      std::size_t heaviest = region_.first;
      std::vector<double> load(region_.last, 0);
      for (std::size_t rank = region_.first; rank < region_.last; ++rank) {
        load[rank] = load_of(experts_[rank], region_);
        if (load[rank] > load[heaviest]) heaviest = rank;
      }
      if (load[heaviest] <= limit) return true;
      if (!swap_from(heaviest, load)) return false;
    }
  }

 private:
  bool add_replica(std::size_t expert, std::map<std::size_t, int>& excess) {
    std::size_t* slot = nullptr;
    double lightest = INFINITY;
    for (std::size_t rank = region_.first; rank < region_.last; ++rank) {
      if (holds(experts_[rank], expert)) continue;
      for (std::size_t& held : experts_[rank]) {
        const double left = load_of(experts_[rank], region_) - region_.share.at(held);
        if (excess.at(held) <= 0 || left >= lightest) continue;
        lightest = left;
        slot = &held;
      }
    }
    if (slot == nullptr) return false;
    --excess.at(*slot);
    ++excess.at(expert);
    *slot = expert;
    return true;
  }

  struct Swap {
    std::size_t *out = nullptr, *in = nullptr;
    double after = 0;  // load of the heavier of the two ranks
  };

  // The swap after which the heavier of the two ranks is lightest; false where none helps.
  bool swap_from(std::size_t heaviest, const std::vector<double>& load) {
    Swap best{nullptr, nullptr, load[heaviest] * (1 - 1e-9)};
    for (std::size_t rank = region_.first; rank < region_.last; ++rank)
      if (rank != heaviest) improve_swap(heaviest, rank, load, best);
    if (best.out == nullptr) return false;
    std::swap(*best.out, *best.in);
    return true;
  }
  void improve_swap(std::size_t heaviest,
                    std::size_t rank,
                    const std::vector<double>& load,
                    Swap& best) {
    for (std::size_t& a : experts_[heaviest]) {
      if (holds(experts_[rank], a)) continue;
      for (std::size_t& b : experts_[rank]) {
        const double shift = region_.share.at(a) - region_.share.at(b);
        const double after = std::max(load[heaviest] - shift, load[rank] + shift);
        if (after < best.after && !holds(experts_[heaviest], b)) best = {&a, &b, after};
      }
    }
  }

  ExpertsByRank& experts_;
  Region& region_;
};

class Layer {
 public:
  Layer(const PlacementInput& input, std::size_t layer, const Placement& fresh)
      : input_(input),
        load_(input.load[layer]),
        ranks_(static_cast<std::size_t>(input.ranks)),
        old_(experts_by_rank(input.previous[layer], ranks_)),
        fresh_(experts_by_rank(fresh, ranks_)) {
    const std::vector<double> by_rank = rank_load(fresh, load_, ranks_);
    limit_ = *std::max_element(by_rank.begin(), by_rank.end()) * (1 + kTolerance);
  }

  Placement place() {
    ExpertsByRank best = renamed();
    if (const auto kept = mended(); kept && moves(*kept) <= moves(best)) best = *kept;
    keep_slots(best);
    return placement_of(best);
  }

 private:
  bool by_groups() const { return input_.groups % input_.nodes == 0 && input_.nodes > 1; }

  std::size_t moves(const ExpertsByRank& now) const {
    return replicas_that_move(placement_of(old_), placement_of(now));
  }

  // The regions of what is in place; none where a group lies in several nodes.
  std::vector<Region> regions() const {
    std::vector<Region> all(by_groups() ? static_cast<std::size_t>(input_.nodes) : 1);
    for (std::size_t r = 0; r < all.size(); ++r) {
      Region& region = all[r];
      region.first = r * ranks_ / all.size();
      region.last = (r + 1) * ranks_ / all.size();
      for (std::size_t rank = region.first; rank < region.last; ++rank)
        region.experts.insert(region.experts.end(), old_[rank].begin(), old_[rank].end());
      std::sort(region.experts.begin(), region.experts.end());
      region.experts.erase(std::unique(region.experts.begin(), region.experts.end()),
                           region.experts.end());
    }
    std::size_t experts = 0;
    for (const Region& region : all) experts += region.experts.size();
    if (experts != load_.size() || (all.size() > 1 && splits_groups(all))) all.clear();
    return all;
  }
  bool splits_groups(const std::vector<Region>& regions) const {
    const std::size_t of_group = load_.size() / static_cast<std::size_t>(input_.groups);
    for (const Region& region : regions)
      for (const std::size_t expert : region.experts)
        if (!std::binary_search(region.experts.begin(), region.experts.end(),
                                expert / of_group * of_group))
          return true;
    return false;
  }

  std::optional<ExpertsByRank> mended() const {
    ExpertsByRank experts = old_;
    std::vector<Region> all = regions();
    for (Region& region : all) {
      Mender mender(experts, region);
      if (!mender.change_counts(load_) || !mender.level(limit_)) return std::nullopt;
    }
    if (all.empty()) return std::nullopt;
    return experts;
  }

  // Experts that ranks [a, a + size) of EPLB's share with ranks [b, b + size) in place.
  std::int64_t common(std::size_t a, std::size_t b, std::size_t size) const {
    std::int64_t count = 0;
    for (std::size_t i = a; i < a + size; ++i)
      for (const std::size_t expert : fresh_[i])
        for (std::size_t j = b; j < b + size; ++j) count += holds(old_[j], expert) ? 1 : 0;
    return count;
  }
  // Which of `count` blocks of ranks takes the place of which.
  std::vector<std::size_t> match(std::size_t first_fresh,
                                 std::size_t first_old,
                                 std::size_t count,
                                 std::size_t size) const {
    std::vector<std::int64_t> gain;
    for (std::size_t a = 0; a < count; ++a)
      for (std::size_t b = 0; b < count; ++b)
        gain.push_back(common(first_fresh + a * size, first_old + b * size, size));
    return fill_bins(gain, count);
  }
  // EPLB's placement; nodes, and ranks in them, take the places that keep most experts.
  ExpertsByRank renamed() const {
    const auto nodes = static_cast<std::size_t>(input_.nodes);
    const std::size_t size = ranks_ / nodes;
    ExpertsByRank experts(ranks_);
    const std::vector<std::size_t> node_of = match(0, 0, nodes, size);
    for (std::size_t node = 0; node < nodes; ++node) {
      const auto rank_of = match(node * size, node_of[node] * size, size, 1);
      for (std::size_t rank = 0; rank < size; ++rank)
        experts[node_of[node] * size + rank_of[rank]] = fresh_[node * size + rank];
    }
    return experts;
  }

  // An expert that stays on its rank stays in its slot, as vLLM does.
  void keep_slots(ExpertsByRank& experts) const {
    for (std::size_t rank = 0; rank < ranks_; ++rank)
      for (std::size_t slot = 0; slot < old_[rank].size(); ++slot) {
        const auto found = std::find(experts[rank].begin() + static_cast<std::ptrdiff_t>(slot),
                                     experts[rank].end(), old_[rank][slot]);
        if (found != experts[rank].end())
          std::iter_swap(found, experts[rank].begin() + static_cast<std::ptrdiff_t>(slot));
      }
  }

  const PlacementInput& input_;
  const std::vector<double>& load_;
  std::size_t ranks_;
  ExpertsByRank old_, fresh_;
  double limit_ = 0;
};

std::vector<Placement> place(const PlacementInput& input) {
  std::vector<Placement> placements =
      Catalog<PlacementPart>::instance().at("eplb", "placement")(input);
  if (input.previous.empty()) return placements;
  for (std::size_t layer = 0; layer < placements.size(); ++layer)
    placements[layer] = Layer(input, layer, placements[layer]).place();
  return placements;
}

const Registered<PlacementPart> registered{
    "eplb_preserving", "EPLB's balance within 2 %, with few moves from what is in place", place};

}  // namespace
}  // namespace moesim
