// What each window of the trace costs a plan: sums over the steps replayed on it.
#pragma once

#include <map>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/plan/step_graph.h"
#include "sim/result/result.h"

namespace moesim {

class WindowFigures {
 public:
  // A step of window number `window`, which is the last one added to or the next; `parts` has its
  // times.
  void add(const StepGraph& graph, const Fabric& fabric, const WindowResult& parts, int window);
  std::vector<WindowResult> results() const;

 private:
  struct Sums {
    int steps = 0;
    WindowResult parts;
    std::vector<std::vector<double>> rank_load;   // [trace moe layer][rank]
    double ranks_reached = 0, nodes_reached = 0;  // over layers and tokens
    double tokens = 0;                            // of those layers
    std::map<LinkTier, double> tier_bytes;
  };
  static WindowResult mean(const Sums& sums);
  std::vector<Sums> windows_;
};

}  // namespace moesim
