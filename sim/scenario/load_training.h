// A training scenario: a scenario file whose workload has the phase "training".
#pragma once

#include <string>

#include "sim/cluster/cluster.h"
#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"
#include "sim/scenario/price.h"
#include "sim/scenario/readable_files.h"
#include "sim/train/training_plan.h"

namespace moesim {

struct TrainingScenario {
  std::string file, name;
  MoeModel model;
  ClusterSpec cluster;
  TrainingPlan plan;  // checked against model and cluster
  Price price;
};

// "model", "cluster", "workload": {"phase": "training", "sequence", "micro_batch", "global_batch",
// "routing": "random" | "even" | {"trace": FILE}, "skew_exponent"}, "plan": {"expert_parallel",
// "tensor_parallel", "pipeline", "virtual_stages", "schedule", "all_to_all", "precision",
// "recompute", "overlap", "capacity_factor", "mtp", "captured"}. A trace gives the experts' loads:
// of its MoE layers the one whose heaviest rank is the median. All ranks of the cluster take part.
// InputError with file, line, column and key for every mistake.
TrainingScenario load_training(const std::string& path, Outside outside = Outside::refused);
TrainingScenario load_training(const JsonNode& root, const std::string& path);  // `path`: root's

}  // namespace moesim
