// A record of kind "serving" as one step of a pool: its model, plan, batch and routing.
#pragma once

#include <string>
#include <variant>

#include "sim/cluster/cluster.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"
#include "sim/validate/prediction.h"

namespace moesim {

struct RecordedServing {
  MoeModel model;
  Cluster cluster;
  ShardingPlan plan;  // placement filled in
  RoutingTrace trace;
  Batch batch;
  std::string conditions;  // for people
  std::string note;        // what the record leaves open and is assumed
};

// Decode: `batch` requests a DP rank (not stated: as many as fit, 256 at most), each of `context`
// tokens, or of its prompt and half of what it generates. Prefill: `tokens_per_rank` new tokens a
// DP rank in prompts of `sequence`. An algorithm not stated is DeepEP's for the phase; redundant
// experts not stated are as few as EP allows. Routing: of the model's profile where a balancer is
// stated ("eplb": placed on half of the trace, replayed on the other), else uniform over the
// experts.
std::variant<RecordedServing, Unmapped> read_serving_record(const JsonNode& typed,
                                                            const std::string& calibration);

}  // namespace moesim
