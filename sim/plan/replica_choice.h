// Which replica of an expert a token copy goes to.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/plan/sharding_plan.h"

namespace moesim {

// Deals the token copies of one MoE layer over the replicas of each expert, source rank by source
// rank. even: round robin over all replicas, starting at replica (source % replicas), so that the
// odd copies of many sources spread; nearest: the same over the replicas on the source's rank, else
// on its node, else all. Deterministic, and independent of the order of a source's tokens: a round
// robin's totals follow from the number of copies.
class ReplicaChooser {
 public:
  // std::logic_error when an expert has no replica.
  ReplicaChooser(const Placement& placement,
                 std::size_t experts,
                 ReplicaChoice choice,
                 std::size_t ranks_per_node);

  // Before the copies of each source. Both ranks are numbered in the pool; first_rank is the EP
  // group's.
  void start(std::size_t source, std::size_t first_rank);

  // The slot of the source's next copy of `expert`, one copy after another: over a source's copies
  // the totals are those of deal().
  std::uint32_t next(std::size_t expert) {
    Candidates& candidates = candidates_[expert];
    if (candidates.count == 1) return slots_[candidates.first];
    const std::uint32_t slot = slots_[candidates.first + candidates.start];
    candidates.start = candidates.start + 1 == candidates.count ? 0 : candidates.start + 1;
    return slot;
  }

  // Deals the source's `copies` of `expert` (< experts): calls give(slot, copies of that slot) for
  // every slot that gets some.
  template <class Give>
  void deal(std::size_t expert, std::uint32_t copies, const Give& give) const {
    const Candidates& candidates = candidates_[expert];
    if (candidates.count == 1) return give(slots_[candidates.first], copies);
    const bool few = copies < candidates.count;
    const std::uint32_t each = few ? 0 : copies / candidates.count,
                        odd = few ? copies : copies % candidates.count;
    std::uint32_t at = candidates.start;
    for (std::uint32_t turn = 0; turn < (few ? odd : candidates.count); ++turn) {
      give(slots_[candidates.first + at], each + (turn < odd ? 1 : 0));
      at = at + 1 == candidates.count ? 0 : at + 1;
    }
  }

 private:
  struct Candidates {
    std::uint32_t first = 0, count = 0, start = 0;  // slots_[first, first + count)
  };
  void keep_nearest(std::size_t expert, std::size_t source, std::size_t first_rank);

  ReplicaChoice choice_;
  std::size_t ranks_per_node_;
  std::vector<Rank> rank_of_;
  std::vector<Candidates> candidates_;            // by expert
  std::vector<std::uint32_t> slots_, all_slots_;  // replicas, expert after expert; all_ unfiltered
  std::vector<std::uint32_t> first_slot_;         // by expert, and the end: into all_slots_
  std::vector<std::uint32_t> replicated_;         // experts with more than one replica
};

}  // namespace moesim
