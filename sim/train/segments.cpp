// The cut by dynamic programming over the number of segments.
#include "sim/train/segments.h"

#include <limits>

namespace moesim {
namespace {

double length(const LayerTime& time) {
  return (time.forward.total() + time.backward().total()).count();
}

// By number of segments and layers before: where the last segment begins in the best cut.
std::vector<std::size_t> best_cuts(const std::vector<double>& before, std::size_t count) {
  const std::size_t layers = before.size() - 1;
  const double never = std::numeric_limits<double>::infinity();
  std::vector<double> best(layers + 1, never);
  std::vector<std::vector<std::size_t>> from(count + 1, std::vector<std::size_t>(layers + 1, 0));
  best[0] = 0;
  for (std::size_t used = 1; used <= count; ++used) {
    std::vector<double> next(layers + 1, never);
    for (std::size_t end = used; end <= layers; ++end)
      for (std::size_t begin = used - 1; begin < end; ++begin) {
        const double time = before[end] - before[begin];
        if (best[begin] + time * time >= next[end]) continue;
        next[end] = best[begin] + time * time;
        from[used][end] = begin;
      }
    best = std::move(next);
  }
  std::vector<std::size_t> cuts(count + 1, layers);
  for (std::size_t used = count; used > 0; --used) cuts[used - 1] = from[used][cuts[used]];
  return cuts;
}

}  // namespace

std::vector<Segment> cut_segments(const MoeModel& model,
                                  const TrainingPlan& plan,
                                  const LayerTimes& times,
                                  std::size_t count) {
  LayerTime end = times.head();
  if (plan.mtp) end += times.mtp();
  std::vector<LayerTime> layers;
  std::vector<double> before{0};
  for (std::size_t layer = 0; layer < model.layers.size(); ++layer) {
    LayerTime time = times.layer(model.layers[layer]);
    if (layer == 0) time += times.embedding();
    if (layer + 1 == model.layers.size()) time += end;
    before.push_back(before.back() + length(time));
    layers.push_back(time);
  }
  const std::vector<std::size_t> cuts = best_cuts(before, count);
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < count; ++i) {
    Segment segment{cuts[i], cuts[i + 1], i == 0, i + 1 == count, {}};
    for (std::size_t layer = segment.first; layer < segment.last; ++layer)
      segment.time += layers[layer];
    segments.push_back(segment);
  }
  return segments;
}

}  // namespace moesim
