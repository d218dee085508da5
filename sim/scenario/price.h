// What GPUs cost, and with them tokens.
#pragma once

#include <string>

#include "sim/core/metric.h"

namespace moesim {

struct Price {
  double gpu_hour = 0;  // of one GPU; 0: not known
  std::string currency;
};

// Of a GPU that makes `rate` tokens a second: price / (3600 s x rate) x 1e6, in the currency. The
// band is the rate's turned round. The rate's lower end must be above 0.
Metric cost_per_million_tokens(const Price& price, const Metric& rate);

}  // namespace moesim
