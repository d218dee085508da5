// Token copies by layer and expert, for the tests of step graphs.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "sim/plan/step_graph.h"

namespace moesim::test {

// By transformer layer: sums over micro-batches, by logical expert.
inline std::map<int, std::vector<std::uint64_t>> loads_by_layer(const StepGraph& graph) {
  std::map<int, std::vector<std::uint64_t>> loads;
  for (const MoeLayerLoad& load : graph.loads) {
    auto& sums = loads[load.layer];
    sums.resize(load.by_expert.size());
    for (std::size_t expert = 0; expert < sums.size(); ++expert)
      sums[expert] += load.by_expert[expert];
  }
  return loads;
}

}  // namespace moesim::test
