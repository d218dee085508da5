// From steps to requests.
#include "sim/study/request_times.h"

#include <algorithm>
#include <cmath>

namespace moesim {

double prompt_steps(double prompt_tokens, double step_tokens, int stages) {
  const double round_tokens = std::max(step_tokens / stages, 1.0);
  const double rounds = std::max(1.0, std::ceil(prompt_tokens / round_tokens * (1 - 1e-12)));
  return (rounds + stages - 1) / stages;
}

void add_request_times(const std::vector<Batch>& batches,
                       double prompt_tokens,
                       PointResult& result,
                       int stages) {
  const Metric* step = find_metric(result, "step_time");
  if (step == nullptr || batches.empty() || !(step->value > 0)) return;
  const auto scaled = [&](double steps) {
    return Metric{step->value * steps, "s", step->low * steps, step->high * steps, step->basis};
  };
  const Batch& first = batches.front();
  const auto entries = std::find_if(first.by_rank.begin(), first.by_rank.end(),
                                    [](const auto& of_rank) { return !of_rank.empty(); });
  if (entries == first.by_rank.end()) return;
  if (entries->front().phase == Phase::prefill) {
    const double of_rank =
        static_cast<double>(first.tokens()) / static_cast<double>(first.rows.size());
    result.metrics.push_back({"time_to_first_token",
                              "steps of a prompt as long as the traced ones, without queueing",
                              scaled(prompt_steps(prompt_tokens, of_rank, stages))});
    return;
  }
  const double output = first.kept * (1 + first.drafts);  // tokens a request and step
  result.metrics.push_back(
      {"time_per_output_token", "mean step over the tokens a request gets", scaled(1 / output)});
}

}  // namespace moesim
