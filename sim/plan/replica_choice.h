// Which replica of an expert a token copy goes to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/plan/sharding_plan.h"

namespace moesim {

// Deals the token copies of one MoE layer over the replicas of each expert, source rank by source
// rank. even: round robin over all replicas, starting at replica (source % replicas), so that the
// odd copies of many sources spread; nearest: the same over the replicas on the source's rank, else
// on its node, else all; round_robin: one turn for all sources, which each takes up where the one
// before it left off; load_balanced: as many to each replica as balance() said, each source
// beginning at replica (source % replicas). Deterministic, and independent of the order of a
// source's tokens: totals follow from the number of copies.
class ReplicaChooser {
 public:
  // std::logic_error when an expert has no replica.
  ReplicaChooser(const Placement& placement,
                 std::size_t experts,
                 ReplicaChoice choice,
                 std::size_t ranks_per_node);

  // For load_balanced, before any copy: the copies of each expert from all sources together, and
  // the ranks of the EP group. They are split as balanced_split has it.
  void balance(std::span<const std::uint32_t> copies, std::size_t ranks);

  // Before the sources are gone through once more.
  void restart();

  // Before the copies of each source. Both ranks are numbered in the pool; first_rank is the EP
  // group's.
  void start(std::size_t source, std::size_t first_rank);

  // The slot of the source's next copy of `expert`, one copy after another: over a source's copies
  // the totals are those of deal().
  std::uint32_t next(std::size_t expert) {
    Candidates& candidates = candidates_[expert];
    if (candidates.count == 1) return slots_[candidates.first];
    if (choice_ == ReplicaChoice::load_balanced) return next_of_split(candidates);
    const std::uint32_t slot = slots_[candidates.first + candidates.start];
    candidates.start = candidates.start + 1 == candidates.count ? 0 : candidates.start + 1;
    return slot;
  }

  // Deals the source's `copies` of `expert` (< experts): calls give(slot, copies of that slot) for
  // every slot that gets some.
  template <class Give>
  void deal(std::size_t expert, std::uint32_t copies, const Give& give) {
    Candidates& candidates = candidates_[expert];
    if (candidates.count == 1) return give(slots_[candidates.first], copies);
    if (choice_ == ReplicaChoice::load_balanced) return deal_split(candidates, copies, give);
    const bool few = copies < candidates.count;
    const std::uint32_t each = few ? 0 : copies / candidates.count,
                        odd = few ? copies : copies % candidates.count;
    std::uint32_t at = candidates.start;
    for (std::uint32_t turn = 0; turn < (few ? odd : candidates.count); ++turn) {
      give(slots_[candidates.first + at], each + (turn < odd ? 1 : 0));
      at = at + 1 == candidates.count ? 0 : at + 1;
    }
    if (choice_ == ReplicaChoice::round_robin)
      candidates.start = (candidates.start + odd) % candidates.count;
  }

 private:
  struct Candidates {
    std::uint32_t first = 0, count = 0, start = 0;  // slots_[first, first + count)
  };
  void keep_nearest(std::size_t expert, std::size_t source, std::size_t first_rank);
  std::uint32_t next_of_split(const Candidates& candidates);

  template <class Give>
  void deal_split(const Candidates& candidates, std::uint32_t copies, const Give& give) {
    for (std::uint32_t turn = 0; turn < candidates.count && copies > 0; ++turn) {
      const std::uint32_t slot =
          slots_[candidates.first + (candidates.start + turn) % candidates.count];
      const std::uint32_t given = std::min(copies, left_[slot]);
      if (given == 0) continue;
      left_[slot] -= given;
      copies -= given;
      give(slot, given);
    }
  }

  ReplicaChoice choice_;
  std::size_t ranks_per_node_;
  Placement placement_;
  std::vector<Candidates> candidates_;            // by expert
  std::vector<std::uint32_t> slots_, all_slots_;  // replicas, expert after expert; all_ unfiltered
  std::vector<std::uint32_t> first_slot_;         // by expert, and the end: into all_slots_
  std::vector<std::uint32_t> replicated_;         // experts with more than one replica
  std::vector<std::uint32_t> split_, left_;       // by slot: copies of load_balanced, still to give
};

}  // namespace moesim
