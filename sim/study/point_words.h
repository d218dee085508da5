// The words of a result: what was run, and what a reader must keep in mind.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/plan/batch.h"
#include "sim/result/result.h"
#include "sim/scenario/scenario.h"

namespace moesim {

// "eplb, 64 requests per rank": the varied values, joined; of a point alone its placement.
std::string point_label(const StudyPoint& point);

// Fills label, names (the routing's model from the trace where the scenario replays a file), ranks
// and seed.
void describe_point(const StudyPoint& point,
                    const Cluster& cluster,
                    const MoeModel& model,
                    const RoutingTrace& trace,
                    PointResult& result);

// What a point ran on.
struct PointFacts {
  const Scenario& scenario;
  const MoeModel& model;
  const RoutingTrace& trace;
  const TraceSplit& split;
  const std::vector<Batch>& batches;
};

// Appends the notes: stand-ins, how often traced tokens are replayed, what is unproven.
void add_notes(const PointFacts& facts, PointResult& result);

}  // namespace moesim
