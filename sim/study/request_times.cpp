// Prefill requests are followed by their id from step to step.
#include "sim/study/request_times.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace moesim {
namespace {

struct Request {
  double seconds = 0;
  std::size_t last_step = 0;
};

double time_to_first_token(const std::vector<Batch>& batches, const std::vector<double>& seconds) {
  std::map<std::int32_t, Request> requests;
  const std::size_t steps = std::min(batches.size(), seconds.size());
  for (std::size_t step = 0; step < steps; ++step) {
    for (const auto& entries : batches[step].by_rank)
      for (const BatchEntry& entry : entries) {
        Request& request = requests[entry.request];
        if (request.seconds > 0 && request.last_step == step) continue;  // two entries in a step
        request.seconds += seconds[step];
        request.last_step = step;
      }
  }
  // What is under way in the last step may go on.
  double ended = 0, all = 0;
  std::size_t count = 0;
  for (const auto& [id, request] : requests) {
    all += request.seconds;
    if (request.last_step + 1 == steps) continue;
    ended += request.seconds;
    ++count;
  }
  return count > 0 ? ended / static_cast<double>(count)
                   : all / static_cast<double>(std::max<std::size_t>(requests.size(), 1));
}

}  // namespace

void add_request_times(const std::vector<Batch>& batches,
                       const std::vector<double>& step_seconds,
                       PointResult& result) {
  const Metric* step = find_metric(result, "step_time");
  if (step == nullptr || step_seconds.empty() || batches.empty() || !(step->value > 0)) return;
  const auto scaled = [&](double value) {
    const double ratio = value / step->value;
    return Metric{value, "s", step->low * ratio, step->high * ratio, step->basis};
  };
  const Batch& first = batches.front();
  const auto entry = std::find_if(first.by_rank.begin(), first.by_rank.end(),
                                  [](const auto& entries) { return !entries.empty(); });
  if (entry == first.by_rank.end()) return;
  if (entry->front().phase == Phase::prefill) {
    result.metrics.push_back({"time_to_first_token",
                              "steps from a request's first chunk to its last, without queueing",
                              scaled(time_to_first_token(batches, step_seconds))});
    return;
  }
  const double output = first.kept * (1 + first.drafts);  // tokens a request and step
  result.metrics.push_back({"time_per_output_token", "mean step over the tokens a request gets",
                            scaled(step->value / output)});
}

}  // namespace moesim
