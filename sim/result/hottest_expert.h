// The expert that draws most token copies to some ranks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "sim/plan/sharding_plan.h"

namespace moesim {

struct HottestExpert {
  int expert = -1;
  double ratio = 0;  // its token copies over the mean expert's
};

// Among the experts placed on ranks first .. last - 1 (numbered within the EP group), the one whose
// replica draws most when an expert's copies are spread evenly over its replicas. `load`: token
// copies by logical expert.
template <class Count>
HottestExpert hottest_expert(const Placement& placement,
                             const std::vector<Count>& load,
                             int first,
                             int last) {
  std::vector<double> replicas(load.size(), 0.0);
  for (const LogicalExpert expert : placement.replica_of) replicas[index(expert)] += 1;
  HottestExpert hottest;
  double most = -1;
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
    const int rank = static_cast<int>(index(placement.rank_of[slot]));
    const std::size_t expert = index(placement.replica_of[slot]);
    const double share = static_cast<double>(load[expert]) / replicas[expert];
    if (rank < first || rank >= last || share <= most) continue;
    most = share;
    hottest.expert = static_cast<int>(expert);
  }
  if (hottest.expert < 0) return hottest;
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  const double mean = total / static_cast<double>(load.size());
  hottest.ratio =
      static_cast<double>(load[static_cast<std::size_t>(hottest.expert)]) / std::max(mean, 1e-30);
  return hottest;
}

}  // namespace moesim
