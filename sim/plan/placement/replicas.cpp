// Replicas made, and moved apart.
#include "sim/plan/placement/replicas.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

bool holds(const std::vector<std::size_t>& experts, std::size_t expert) {
  return std::find(experts.begin(), experts.end(), expert) != experts.end();
}

// Whether experts[place] stands there a second time.
bool is_double(const std::vector<std::size_t>& experts, std::size_t place) {
  const auto end = experts.begin() + static_cast<std::ptrdiff_t>(place);
  return std::find(experts.begin(), end, experts[place]) != end;
}

struct Swap {
  std::size_t rank = 0, place = 0;
  float distance = std::numeric_limits<float>::infinity();  // of the two experts' shares
};

// The best expert of another rank to take the place of a double on `rank`. It must be one that
// `rank` lacks, or a double itself: then the doubles of both ranks grow fewer. Such a swap exists:
// a rank without the expert has doubles, or more different experts than `rank`.
Swap best_swap(const ExpertsByRank& experts,
               std::span<const float> share,
               std::size_t rank,
               std::size_t expert) {
  Swap best;
  for (std::size_t other = 0; other < experts.size(); ++other) {
    if (other == rank || holds(experts[other], expert)) continue;
    for (std::size_t place = 0; place < experts[other].size(); ++place) {
      const std::size_t candidate = experts[other][place];
      if (holds(experts[rank], candidate) && !is_double(experts[other], place)) continue;
      const float distance = std::abs(share[candidate] - share[expert]);
      if (distance < best.distance) best = {other, place, distance};
    }
  }
  return best;
}

}  // namespace

Replicas replicate(std::span<const float> load, std::size_t slots, std::size_t most) {
  Replicas made;
  made.expert_of.resize(load.size());
  std::iota(made.expert_of.begin(), made.expert_of.end(), std::size_t{0});
  made.share.assign(load.begin(), load.end());
  std::vector<float> key(load.begin(), load.end()), replicas(load.size(), 1.0F);
  constexpr float kFull = -1;  // below every load
  if (most <= 1) std::fill(key.begin(), key.end(), kFull);
  while (made.expert_of.size() < slots) {
    const auto hottest =
        static_cast<std::size_t>(std::max_element(key.begin(), key.end()) - key.begin());
    assert(key[hottest] >= 0 && "slots are at most experts x most");
    made.expert_of.push_back(hottest);
    made.share[hottest] = load[hottest] / ++replicas[hottest];
    key[hottest] = replicas[hottest] >= static_cast<float>(most) ? kFull : made.share[hottest];
  }
  return made;
}

Replicas replicate(const std::vector<double>& load, const PlacementInput& input) {
  const std::vector<float> rounded(load.begin(), load.end());
  return replicate(rounded, static_cast<std::size_t>(input.slots),
                   static_cast<std::size_t>(input.ranks));
}

void separate_replicas(ExpertsByRank& experts, std::span<const float> share) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t rank = 0; rank < experts.size(); ++rank) {
      for (std::size_t place = 0; place < experts[rank].size(); ++place) {
        if (!is_double(experts[rank], place)) continue;
        const Swap swap = best_swap(experts, share, rank, experts[rank][place]);
        assert(!std::isinf(swap.distance) && "an expert has at most a replica a rank");
        std::swap(experts[rank][place], experts[swap.rank][swap.place]);
        changed = true;
      }
    }
  }
}

Placement placement_of(const ExpertsByRank& experts) {
  std::vector<LogicalExpert> replica_of;
  for (const auto& of_rank : experts)
    for (const std::size_t expert : of_rank) replica_of.push_back(id_of<LogicalExpert>(expert));
  return placement_of(std::move(replica_of), static_cast<int>(experts.size()));
}

ExpertsByRank experts_by_rank(const Placement& placement, std::size_t ranks) {
  ExpertsByRank experts(ranks);
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot)
    if (placement.replica_of[slot] != kNoExpert)
      experts[index(placement.rank_of[slot])].push_back(index(placement.replica_of[slot]));
  return experts;
}

}  // namespace moesim
