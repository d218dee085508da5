// What a replayed step measures, for the tests of results.
#pragma once

#include "sim/result/measure.h"
#include "tests/sim/plan/step_fixture.h"

namespace moesim::test {

inline PointResult measured(const StepGraph& graph,
                            const Timeline& timeline,
                            const StepWorld& world) {
  Measurement measurement(world.cluster, world.model, world.plan);
  measurement.add(graph, timeline);
  PointResult result;
  measurement.fill(result);
  return result;
}

}  // namespace moesim::test
