// From an even split, copies are pushed from too full ranks to others along shared experts.
#include "sim/plan/balanced_split.h"

#include <algorithm>
#include <limits>

namespace moesim {
namespace {

class Split {
 public:
  Split(std::span<const std::uint32_t> copies, const Placement& placement, std::size_t ranks)
      : placement_(placement),
        slots_of_expert_(copies.size()),
        slots_of_rank_(ranks),
        given_(placement.replica_of.size(), 0),
        load_(ranks, 0) {
    for (std::size_t slot = 0; slot < given_.size(); ++slot)
      if (placement.replica_of[slot] != kNoExpert)
        slots_of_expert_[index(placement.replica_of[slot])].push_back(slot);
    for (std::size_t expert = 0; expert < copies.size(); ++expert) {
      const std::vector<std::size_t>& slots = slots_of_expert_[expert];
      for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto replicas = static_cast<std::uint32_t>(slots.size());
        given_[slots[i]] = copies[expert] / replicas + (i < copies[expert] % replicas ? 1 : 0);
        load_[rank_of(slots[i])] += given_[slots[i]];
        if (replicas > 1) slots_of_rank_[rank_of(slots[i])].push_back(slots[i]);
      }
    }
  }

  void balance() {
    std::uint32_t least = least_possible(), most = fullest();
    std::vector<std::uint32_t> best = given_;
    while (least < most) {
      const std::uint32_t limit = least + (most - least) / 2;
      if (reach(limit)) {
        most = fullest();
        best = given_;
      } else {
        least = limit + 1;
      }
    }
    given_ = std::move(best);
  }

  std::vector<std::uint32_t> take() { return std::move(given_); }

 private:
  struct Step {  // copies of one expert go from one slot to another
    std::size_t from = 0, to = 0;
    bool taken = false;
  };

  std::size_t rank_of(std::size_t slot) const { return index(placement_.rank_of[slot]); }
  std::uint32_t fullest() const { return *std::max_element(load_.begin(), load_.end()); }

  // The mean, or what a rank cannot pass on.
  std::uint32_t least_possible() const {
    std::uint64_t sum = 0;
    std::uint32_t least = 0;
    for (std::size_t rank = 0; rank < load_.size(); ++rank) {
      std::uint32_t fixed = load_[rank];
      for (const std::size_t slot : slots_of_rank_[rank]) fixed -= given_[slot];
      least = std::max(least, fixed);
      sum += load_[rank];
    }
    return std::max(least, static_cast<std::uint32_t>((sum + load_.size() - 1) / load_.size()));
  }

  // Whether all ranks can be brought to `limit` at most; does so, or goes part of the way.
  bool reach(std::uint32_t limit) {
    for (std::size_t rank = 0; rank < load_.size(); ++rank)
      while (load_[rank] > limit)
        if (!push_from(rank, limit)) return false;
    return true;
  }

  // Pushes what fits along a shortest path from `rank` to one below the limit.
  bool push_from(std::size_t rank, std::uint32_t limit) {
    std::vector<Step> into(load_.size());  // the step by which the search came to each rank
    std::vector<std::size_t> reached{rank};
    into[rank].taken = true;
    for (std::size_t i = 0; i < reached.size(); ++i) {
      if (load_[reached[i]] < limit) {
        push_along(into, rank, reached[i], limit);
        return true;
      }
      for (const std::size_t from : slots_of_rank_[reached[i]])
        if (given_[from] > 0) reach_from(from, into, reached);
    }
    return false;
  }
  void reach_from(std::size_t from,
                  std::vector<Step>& into,
                  std::vector<std::size_t>& reached) const {
    for (const std::size_t to : slots_of_expert_[index(placement_.replica_of[from])]) {
      Step& step = into[rank_of(to)];
      if (step.taken) continue;
      step = {from, to, true};
      reached.push_back(rank_of(to));
    }
  }

  void push_along(const std::vector<Step>& into,
                  std::size_t first,
                  std::size_t last,
                  std::uint32_t limit) {
    std::uint32_t amount = std::min(load_[first] - limit, limit - load_[last]);
    for (std::size_t rank = last; rank != first; rank = rank_of(into[rank].from))
      amount = std::min(amount, given_[into[rank].from]);
    for (std::size_t rank = last; rank != first; rank = rank_of(into[rank].from)) {
      given_[into[rank].from] -= amount;
      given_[into[rank].to] += amount;
    }
    load_[first] -= amount;
    load_[last] += amount;
  }

  const Placement& placement_;
  std::vector<std::vector<std::size_t>> slots_of_expert_;
  std::vector<std::vector<std::size_t>> slots_of_rank_;  // of experts with several replicas
  std::vector<std::uint32_t> given_;                     // by slot
  std::vector<std::uint32_t> load_;                      // by rank
};

}  // namespace

std::vector<std::uint32_t> balanced_split(std::span<const std::uint32_t> copies,
                                          const Placement& placement,
                                          std::size_t ranks) {
  Split split(copies, placement, ranks);
  split.balance();
  return split.take();
}

}  // namespace moesim
