// Curves: points of a study along one quantity, and what they share.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

struct Curve {
  struct At {
    double along = 0;
    const PointResult* point = nullptr;
  };
  std::string name;        // what its points share of what the study varies: "eplb, nodes 4"
  std::vector<At> points;  // by rising `along`
};

// A curve for every combination of the varied values that do not follow from where a point lies
// along the quantity, in order of first appearance. Points without a place, and curves with a
// single one, are left out. Names of curves leave out keys of the batch where `any_batch`.
using PlaceOf = std::function<std::optional<double>(const PointResult& point)>;
std::vector<Curve> curves_along(const StudyResult& study, const PlaceOf& place, bool any_batch);

// Along the batch: requests of a rank in decode ("workload.requests_per_rank" or its "mean"),
// tokens in prefill ("workload.tokens_per_rank"). Empty where the study does not vary it.
std::vector<Curve> curves_over_batch(const StudyResult& study);

// Along the number of GPUs. Of several batches the best at each: of those within the objective the
// one with most tokens a second and GPU; where none is, the fastest. Points that did not run are
// left out.
std::vector<Curve> curves_over_gpus(const StudyResult& study);

// The largest value of a metric on the curves; 0 where no point has it.
double largest_of(const std::vector<Curve>& curves, const std::string& metric);

// Makes a line one end of a band: thin, dotted, without marks.
void draw_as_band(nlohmann::json& series);

// A point on a chart: hollow where it misses the study's objective.
nlohmann::json mark_of(const Curve::At& at, double value);
// "Hollow: misses the objective of 50 ms." where a point of the curves does.
std::string slo_note(const std::vector<Curve>& curves);

// Where two curves of a quantity cross: batches between those that both have, by a straight line
// between neighbours on logarithmic axes. `value` <= 0 or a point without one is left out.
using ValueOf = double (*)(const PointResult& point);
std::vector<double> crossings(const Curve& a, const Curve& b, ValueOf value);

// A logarithmic axis.
nlohmann::json log_axis(const std::string& name);

}  // namespace moesim
