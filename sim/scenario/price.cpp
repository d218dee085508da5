#include "sim/scenario/price.h"

namespace moesim {

Metric cost_per_million_tokens(const Price& price, const Metric& rate) {
  const double million = price.gpu_hour / 3600 * 1e6;  // x seconds of a GPU for a token
  return {million / rate.value, price.currency, million / rate.high, million / rate.low,
          rate.basis};
}

}  // namespace moesim
