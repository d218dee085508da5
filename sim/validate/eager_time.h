// Benchmarks that launch kernels one by one from the host instead of replaying a graph.
#pragma once

#include <string>

#include "sim/core/units.h"

namespace moesim {

// What takes `kernels` on the GPU, launched by a host that needs the time of `part`
// ("attention_layer", "experts") in topologies/calibration/kernels.json, "eager", for all of them
// and is half through when the long ones begin. Steps of a run are taken to be replayed graphs and
// have no such time.
Seconds eager_time(Seconds kernels, const std::string& part);

}  // namespace moesim
