// Which replica of an expert a token copy goes to.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/plan/sharding_plan.h"

namespace moesim {

// Deals the token copies of one MoE layer over the replicas of each expert, source rank by source
// rank. even: round robin over all replicas, starting at replica (source % replicas), so that the
// odd copies of many sources spread; nearest: the same over the replicas on the source's rank, else
// on its node, else all. Deterministic: the n-th copy of an expert from a source always goes to the
// same slot.
class ReplicaChooser {
 public:
  // `first_rank`: of the EP group, in the pool. std::logic_error when an expert has no replica.
  ReplicaChooser(const Placement& placement,
                 std::size_t experts,
                 ReplicaChoice choice,
                 std::size_t ranks_per_node);

  // Before the copies of each source. Both ranks are numbered in the pool; first_rank is the EP
  // group's.
  void start(std::size_t source, std::size_t first_rank);

  // The slot of the next copy of `expert`, expert < experts.
  std::uint32_t next(std::size_t expert) {
    Candidates& candidates = candidates_[expert];
    const std::uint32_t slot = slots_[candidates.first + candidates.cursor];
    if (++candidates.cursor == candidates.count) candidates.cursor = 0;
    return slot;
  }

 private:
  struct Candidates {
    std::uint32_t first = 0, count = 0, cursor = 0;  // slots_[first, first + count)
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
