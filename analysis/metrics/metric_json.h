// A metric for programs, as every command with --json prints it.
#pragma once

#include <nlohmann/json.hpp>

#include "sim/core/metric.h"

namespace moesim {

inline nlohmann::json metric_json(const Metric& metric) {
  return {{"value", metric.value},
          {"unit", metric.unit},
          {"low", metric.low},
          {"high", metric.high},
          {"basis", to_text(metric.basis)}};
}

}  // namespace moesim
