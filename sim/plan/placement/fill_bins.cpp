// Items start in their best bin; those too many go on along the path that loses least.
#include "sim/plan/placement/fill_bins.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace moesim {
namespace {

constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 4;

class Filler {
 public:
  Filler(std::span<const std::int64_t> gain, std::size_t bins)
      : gain_(gain), bins_(bins), items_(bins), steps_(bins * bins) {
    for (std::size_t item = 0; item < gain.size() / bins; ++item) {
      const auto own = gain.subspan(item * bins, bins);
      items_[static_cast<std::size_t>(std::max_element(own.begin(), own.end()) - own.begin())]
          .push_back(item);
    }
    for (std::size_t bin = 0; bin < bins; ++bin) find_steps(bin);
  }

  void fill() {
    const std::size_t room = gain_.size() / bins_ / bins_;
    for (std::size_t bin = 0; bin < bins_; ++bin)
      while (items_[bin].size() > room) push_out(bin, room);
  }

  std::vector<std::size_t> bin_of_item() const {
    std::vector<std::size_t> bin_of(gain_.size() / bins_);
    for (std::size_t bin = 0; bin < bins_; ++bin)
      for (const std::size_t item : items_[bin]) bin_of[item] = bin;
    return bin_of;
  }

 private:
  struct Step {  // the item that loses least by going from one bin to another
    std::int64_t loss = kFar;
    std::size_t item = 0;
  };

  void find_steps(std::size_t from) {
    for (std::size_t to = 0; to < bins_; ++to) {
      Step& step = steps_[from * bins_ + to];
      step.loss = kFar;
      for (const std::size_t item : items_[from]) {
        const std::int64_t loss = gain_[item * bins_ + from] - gain_[item * bins_ + to];
        if (loss < step.loss) step = {loss, item};
      }
    }
  }

  // Shortens the ways to all bins by a step out of `bin`; whether one became shorter.
  bool relax(std::size_t bin,
             std::vector<std::int64_t>& loss,
             std::vector<std::size_t>& before) const {
    if (loss[bin] == kFar) return false;
    bool shorter = false;
    for (std::size_t to = 0; to < bins_; ++to) {
      const std::int64_t step = steps_[bin * bins_ + to].loss;
      if (to == bin || step == kFar || loss[bin] + step >= loss[to]) continue;
      loss[to] = loss[bin] + step;
      before[to] = bin;
      shorter = true;
    }
    return shorter;
  }

  // Bellman and Ford: losses below 0 occur, cycles of them do not.
  std::size_t nearest_with_room(std::size_t from,
                                std::size_t room,
                                std::vector<std::size_t>& before) const {
    std::vector<std::int64_t> loss(bins_, kFar);
    loss[from] = 0;
    for (bool shorter = true; shorter;) {
      shorter = false;
      for (std::size_t bin = 0; bin < bins_; ++bin) shorter = relax(bin, loss, before) || shorter;
    }
    std::size_t nearest = from;
    for (std::size_t bin = 0; bin < bins_; ++bin)
      if (items_[bin].size() < room && (nearest == from || loss[bin] < loss[nearest]))
        nearest = bin;
    return nearest;
  }

  void push_out(std::size_t from, std::size_t room) {
    std::vector<std::size_t> before(bins_, from);
    std::size_t to = nearest_with_room(from, room, before);
    assert(to != from && "where a bin is too full another has room");
    std::vector<std::size_t> path{to};
    for (; to != from; to = before[to]) {
      const std::size_t item = steps_[before[to] * bins_ + to].item;
      auto& left = items_[before[to]];
      left.erase(std::find(left.begin(), left.end(), item));
      items_[to].push_back(item);
      path.push_back(before[to]);
    }
    for (const std::size_t bin : path) find_steps(bin);
  }

  std::span<const std::int64_t> gain_;
  std::size_t bins_;
  std::vector<std::vector<std::size_t>> items_;  // by bin
  std::vector<Step> steps_;                      // [from][to]
};

}  // namespace

std::vector<std::size_t> fill_bins(std::span<const std::int64_t> gain, std::size_t bins) {
  Filler filler(gain, bins);
  filler.fill();
  return filler.bin_of_item();
}

}  // namespace moesim
