// Curves over the batch: points of a study that differ in their tokens a rank, and what they share.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

struct Curve {
  struct At {
    double batch = 0;  // requests of a rank in decode, tokens in prefill
    const PointResult* point = nullptr;
  };
  std::string name;        // what its points share of what the study varies: "eplb, nodes 4"
  std::vector<At> points;  // by rising batch
};

// A curve for every combination of the other varied values, in order of first appearance. Empty
// where the study does not vary the batch ("workload.requests_per_rank" or its "mean",
// "workload.tokens_per_rank").
std::vector<Curve> curves_over_batch(const StudyResult& study);

// Where two curves of a quantity cross: batches between those that both have, by a straight line
// between neighbours on logarithmic axes. `value` <= 0 or a point without one is left out.
using ValueOf = double (*)(const PointResult& point);
std::vector<double> crossings(const Curve& a, const Curve& b, ValueOf value);

// A logarithmic axis.
nlohmann::json log_axis(const std::string& name);

}  // namespace moesim
