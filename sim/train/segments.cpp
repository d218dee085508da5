// The cut by dynamic programming over the number of segments.
#include "sim/train/segments.h"

#include <limits>

namespace moesim {
namespace {

double length(const LayerPasses& time) {
  return (time.forward.total() + time.backward().total()).count();
}

// By number of segments and items before: where the last segment begins in the best cut.
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

std::vector<LayerSegment> cut_segments(const MoeModel& model,
                                       const TrainingPlan& plan,
                                       const LayerTimes& times,
                                       std::size_t count) {
  std::vector<LayerPasses> items{times.embedding()};
  for (const LayerShape& layer : model.layers) items.push_back(times.layer(layer));
  items.push_back(times.head());
  if (plan.mtp) items.back() += times.mtp();
  std::vector<double> before{0};
  for (const LayerPasses& item : items) before.push_back(before.back() + length(item));
  const std::vector<std::size_t> cuts = best_cuts(before, count);
  std::vector<LayerSegment> segments;
  for (std::size_t i = 0; i < count; ++i) {
    LayerSegment segment;
    segment.embeds = i == 0;
    segment.heads = i + 1 == count;
    segment.first = cuts[i] - (segment.embeds ? 0 : 1);
    segment.last = cuts[i + 1] - (segment.heads ? 2 : 1);
    for (std::size_t item = cuts[i]; item < cuts[i + 1]; ++item) segment.time += items[item];
    segments.push_back(segment);
  }
  return segments;
}

}  // namespace moesim
