// A model cut into the segments of a pipeline: consecutive layers each, about equally long.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/train/layer_time.h"

namespace moesim {

struct LayerSegment {
  std::size_t first = 0, last = 0;  // layers [first, last)
  bool embeds = false, heads = false;
  LayerPasses time;
};

// `count` segments of least sum of squared times. The first begins with the embedding, the last
// ends with head and multi-token prediction module, together, and may have no layer beside them.
std::vector<LayerSegment> cut_segments(const MoeModel& model,
                                       const TrainingPlan& plan,
                                       const LayerTimes& times,
                                       std::size_t count);

}  // namespace moesim
