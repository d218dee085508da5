// The objective is kept beside the result, a price becomes a metric.
#include "sim/study/objectives.h"

namespace moesim {

void add_objectives(const Scenario& scenario, PointResult& result) {
  result.slo = {scenario.slo.metric, scenario.slo.most.count()};
  const Metric* rate = find_metric(result, "tokens_per_second_per_gpu");
  if (scenario.price.gpu_hour <= 0 || rate == nullptr || !(rate->low > 0)) return;
  result.metrics.push_back({"cost_per_million_tokens",
                            "of a million new tokens, at the price of a GPU and hour",
                            cost_per_million_tokens(scenario.price, *rate)});
}

}  // namespace moesim
