// How long one step of one MoE layer takes with given loads of the ranks: what topology_aware
// minimises.
#pragma once

#include <span>
#include <vector>

#include "sim/plan/placement.h"

namespace moesim {

// Time as a function of the ranks' loads (token copies a step), when every rank sends out equally
// many tokens: the largest of the links' dispatch bytes / (bandwidth x efficiency), the largest
// expert time of a rank, and the same as dispatch for combine, added up. Links see the bytes that
// the paths of the fabric put on them; expert time is that of the rank's kernel, taken as linear
// around the mean load. Without a fabric: the largest load. Formula: docs/models.md, "Placement".
class LayerTime {
 public:
  explicit LayerTime(const PlacementInput& input);

  // Loads of one layer that change bit by bit.
  class State {
   public:
    State(const LayerTime& time, std::span<const double> load);
    double seconds() const;
    const std::vector<double>& load() const { return load_; }
    void add(std::size_t rank, double load);

   private:
    const LayerTime* time_;
    std::vector<double> load_;  // by rank
    std::vector<double> busy_;  // s, by row of the links
  };

 private:
  struct Experts {  // time of a rank's experts
    double fixed = 0, per_copy = 1;
  };
  void cost_experts(const PlacementInput& input);
  void cost_links(const PlacementCluster& cluster);

  std::size_t ranks_;
  std::vector<Experts> experts_;  // by rank
  // A link is busy for the sum over ranks of load x per_copy_[rank x rows_ + row]. The rows of
  // dispatch come first; links that never are the busiest have none.
  std::vector<double> per_copy_;
  std::size_t rows_ = 0, combine_ = 0;  // where combine's begin
};

}  // namespace moesim
