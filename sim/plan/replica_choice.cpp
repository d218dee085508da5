// Replicas listed expert after expert; `nearest` narrows the list for each source.
#include "sim/plan/replica_choice.h"

#include <stdexcept>
#include <string>

#include "sim/plan/balanced_split.h"

namespace moesim {

ReplicaChooser::ReplicaChooser(const Placement& placement,
                               std::size_t experts,
                               ReplicaChoice choice,
                               std::size_t ranks_per_node)
    : choice_(choice),
      ranks_per_node_(ranks_per_node),
      placement_(placement),
      candidates_(experts),
      all_slots_(placement.replica_of.size()),
      first_slot_(experts + 1) {
  for (const LogicalExpert expert : placement.replica_of)
    if (expert != kNoExpert) ++first_slot_.at(index(expert) + 1);
  for (std::size_t e = 0; e < experts; ++e) {
    const std::uint32_t replicas = first_slot_[e + 1];
    if (replicas == 0)
      throw std::logic_error("the placement holds no replica of expert " + std::to_string(e));
    if (replicas > 1) replicated_.push_back(static_cast<std::uint32_t>(e));
    first_slot_[e + 1] += first_slot_[e];
    candidates_[e] = {first_slot_[e], replicas, 0};
  }
  std::vector<std::uint32_t> next(first_slot_.begin(), first_slot_.end() - 1);
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
    const LogicalExpert expert = placement.replica_of[slot];
    if (expert != kNoExpert) all_slots_[next[index(expert)]++] = static_cast<std::uint32_t>(slot);
  }
  slots_ = all_slots_;
}

void ReplicaChooser::balance(std::span<const std::uint32_t> copies, std::size_t ranks) {
  if (choice_ != ReplicaChoice::load_balanced) return;
  split_ = balanced_split(copies, placement_, ranks);
  restart();
}

void ReplicaChooser::restart() {
  left_ = split_;
  for (Candidates& candidates : candidates_) candidates.start = 0;
}

std::uint32_t ReplicaChooser::next_of_split(const Candidates& candidates) {
  for (std::uint32_t turn = 0; turn < candidates.count; ++turn) {
    const std::uint32_t slot =
        slots_[candidates.first + (candidates.start + turn) % candidates.count];
    if (left_[slot] == 0) continue;
    --left_[slot];
    return slot;
  }
  throw std::logic_error("more copies of an expert than balance() was told of");
}

void ReplicaChooser::start(std::size_t source, std::size_t first_rank) {
  if (choice_ == ReplicaChoice::round_robin) return;
  for (const std::uint32_t expert : replicated_) {
    if (choice_ == ReplicaChoice::nearest) keep_nearest(expert, source, first_rank);
    Candidates& candidates = candidates_[expert];
    candidates.start = static_cast<std::uint32_t>((source - first_rank) % candidates.count);
  }
}

void ReplicaChooser::keep_nearest(std::size_t expert, std::size_t source, std::size_t first_rank) {
  Candidates& candidates = candidates_[expert];
  const auto keep = [&](auto near) {
    candidates.count = 0;
    for (std::uint32_t i = first_slot_[expert]; i < first_slot_[expert + 1]; ++i)
      if (near(first_rank + index(placement_.rank_of[all_slots_[i]])))
        slots_[candidates.first + candidates.count++] = all_slots_[i];
    return candidates.count > 0;
  };
  if (keep([&](std::size_t rank) { return rank == source; })) return;
  if (keep([&](std::size_t rank) { return rank / ranks_per_node_ == source / ranks_per_node_; }))
    return;
  keep([](std::size_t) { return true; });
}

}  // namespace moesim
