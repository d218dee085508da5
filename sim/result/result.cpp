// What readers of a result look up in it.
#include "sim/result/result.h"

#include <algorithm>

namespace moesim {

const BottleneckResult* worst_bottleneck(const PointResult& result) {
  const auto worst = std::max_element(result.bottlenecks.begin(), result.bottlenecks.end(),
                                      [](const auto& a, const auto& b) { return a.busy < b.busy; });
  return worst == result.bottlenecks.end() || worst->link.empty() ? nullptr : &*worst;
}

const Metric* find_metric(const PointResult& result, const std::string& name) {
  for (const NamedMetric& named : result.metrics)
    if (named.name == name) return &named.metric;
  return nullptr;
}

Basis weakest_basis(const PointResult& result) {
  Basis weakest = Basis::exact;
  for (const NamedMetric& named : result.metrics) weakest = weaker(weakest, named.metric.basis);
  return weakest;
}

bool meets_slo(const PointResult& result) {
  const auto& [metric, most] = result.slo;
  if (!result.ran) return false;
  if (metric.empty()) return true;
  const Metric* found = find_metric(result, metric);
  return found != nullptr && found->value <= most;
}

}  // namespace moesim
