// A user's own measured points of the plan in use beside what was predicted for it, and what
// another plan would make of them.
#pragma once

#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

struct MeasuredPoint {
  std::string metric;  // a metric of results: "step_time", "dispatch", ...
  double value = 0;    // in the metric's unit
};

// "step_time: 12.3 ms measured, 11.8 ms predicted (-4.1 %)", of each point, of `in_use`. InputError
// where it has no such metric, with those it has.
std::vector<std::string> measured_lines(const PointResult& in_use,
                                        const std::vector<MeasuredPoint>& measured);

// The change from the plan in use to another as a ratio of step times with a band, and the measured
// step time times that, where there is one: "eplb: step time x 0.94 (0.92 to 0.95), 11.6 ms". Both
// plans rest on the same constants: with each part of the step off by up to its basis' typical
// error, the change of each part is off by as much.
std::string change_line(const PointResult& in_use,
                        const PointResult& other,
                        const std::vector<MeasuredPoint>& measured);

}  // namespace moesim
