// A record of kind "training" as a plan of this project.
#pragma once

#include <string>
#include <variant>

#include "sim/cluster/cluster.h"
#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"
#include "sim/train/training_plan.h"
#include "sim/validate/prediction.h"

namespace moesim {

struct RecordedTraining {
  MoeModel model;
  ClusterSpec cluster;  // one EP group's or one DP group's worth of its nodes
  TrainingPlan plan;
  std::string note;
};

// What a record leaves open is taken as its authors' recipes mostly have it: the exchange HybridEP
// in NVLink domains beyond a host and on Blackwell, else DeepEP's normal mode; selective
// recomputation of models with latent attention; multi-token prediction where the model has it and
// the record does not say no; exchanges overlapped where an EP group reaches beyond an NVLink
// domain and there is a pipeline. Context parallelism is not simulated. InputError at a condition
// of a wrong type.
std::variant<RecordedTraining, Unmapped> read_training_record(const JsonNode& typed,
                                                              const std::string& calibration);

}  // namespace moesim
