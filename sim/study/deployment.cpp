// Rates of pools per request, and what the load makes of them.
#include "sim/study/deployment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"
#include "sim/study/request_times.h"

namespace moesim {
namespace {

constexpr double kMostPools = 1e6;

const Metric& metric_or_refuse(const PointResult& point, const std::string& name) {
  const Metric* metric = find_metric(point, name);
  if (metric == nullptr)
    throw InputError(fmt::format("{}: the result has no {}", point.scenario_name, name));
  return *metric;
}

Metric scaled(const Metric& metric, double factor, const std::string& unit) {
  return {metric.value * factor, unit, metric.low * factor, metric.high * factor, metric.basis};
}

Metric sum(const Metric& a, const Metric& b) {
  return {a.value + b.value, a.unit, a.low + b.low, a.high + b.high, weaker(a.basis, b.basis)};
}

void check(const PointResult& point, const std::string& phase) {
  if (point.phase != phase)
    throw InputError(fmt::format("{}: its phase is {}, a {} pool is needed here",
                                 point.scenario_name, point.phase, phase));
  if (!point.ran)
    throw InputError(fmt::format("{}: the pool does not fit memory: {}", point.scenario_name,
                                 point.memory.verdict));
}

void check(const Traffic& traffic) {
  const auto refuse = [](const char* what, double value, const char* allowed) {
    throw InputError(fmt::format("{} {:g}: allowed are {}", what, value, allowed));
  };
  if (!(traffic.prompt_tokens >= 1)) refuse("prompt tokens", traffic.prompt_tokens, "1 and more");
  if (!(traffic.output_tokens >= 1)) refuse("output tokens", traffic.output_tokens, "1 and more");
  if (!(traffic.cached_share >= 0 && traffic.cached_share < 1))
    refuse("share of the prompt that is cached", traffic.cached_share, "0 to below 1");
  if (!(traffic.requests_per_second >= 0))
    refuse("requests a second", traffic.requests_per_second, "0 and more");
}

PoolKind pool_of(const PointResult& point, const char* name, double tokens_of_request) {
  PoolKind kind;
  kind.name = name;
  kind.gpus = point.ranks;
  kind.requests = scaled(metric_or_refuse(point, "tokens_per_second_per_gpu"),
                         point.ranks / tokens_of_request, "1/s");
  return kind;
}

}  // namespace

Deployment plan_deployment(const PointResult& prefill,
                           const PointResult& decode,
                           const Traffic& traffic,
                           const HandOver& hand_over) {
  check(prefill, "prefill");
  check(decode, "decode");
  check(traffic);
  if (prefill.model != decode.model)
    throw InputError(
        fmt::format("the prefill pool serves {}, the decode pool {}", prefill.model, decode.model));
  Deployment deployment;
  deployment.prefill =
      pool_of(prefill, "prefill", traffic.prompt_tokens * (1 - traffic.cached_share));
  deployment.decode = pool_of(decode, "decode", traffic.output_tokens);
  const double load = traffic.requests_per_second > 0 ? traffic.requests_per_second
                                                      : deployment.prefill.requests.value;
  deployment.requests_per_second = load;
  for (PoolKind* kind : {&deployment.prefill, &deployment.decode}) {
    kind->exact = load / kind->requests.value;
    if (!(kind->exact <= kMostPools))
      throw InputError(
          fmt::format("{:g} requests a second need {:.3g} {} pools; at most {:g} are "
                      "planned",
                      load, kind->exact, kind->name, kMostPools));
    // A load that comes from a pool's own rate is one pool's, whatever rounding says.
    kind->pools = std::max(1, static_cast<int>(std::ceil(kind->exact * (1 - 1e-9))));
    deployment.gpus += kind->pools * kind->gpus;
  }
  // Of the two kinds' bands the wider one: the pools are given, the load they carry is not sure.
  const Metric& wider = deployment.decode.requests.basis < deployment.prefill.requests.basis
                            ? deployment.prefill.requests
                            : deployment.decode.requests;
  deployment.output_per_gpu =
      scaled(wider, load * traffic.output_tokens / deployment.gpus / wider.value, "1/s");
  deployment.hand_over = hand_over.of_rank * hand_over.ranks;
  const double seconds =
      hand_over.nic.value > 0 ? hand_over.of_rank.value / hand_over.nic.value : 0;
  deployment.hand_over_time = metric_of(seconds, "s", Basis::datasheet);
  deployment.hand_over_share =
      seconds * hand_over.ranks * load /
      (deployment.decode.pools * static_cast<double>(deployment.decode.gpus));
  const double steps = prompt_steps(traffic.prompt_tokens * (1 - traffic.cached_share),
                                    hand_over.step_tokens, hand_over.prefill_stages);
  deployment.first_token =
      sum(scaled(metric_or_refuse(prefill, "step_time"), steps, "s"), deployment.hand_over_time);
  deployment.time_per_output_token = metric_or_refuse(decode, "time_per_output_token");
  return deployment;
}

}  // namespace moesim
