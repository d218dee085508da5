#include "sim/cost/held_sms.h"

#include <algorithm>
#include <cmath>

#include "sim/io/files.h"
#include "sim/io/kept_json.h"

namespace moesim {

double speed_taken(int held, double sms, KernelMix mix) {
  constexpr double kMost = 0.95;  // kernels always get on
  if (sms <= 0) return 0;
  const double exponent = kept_json_file(data_path("topologies/calibration/kernels.json"))
                              .at("held_sms_exponent")
                              .at(mix == KernelMix::compute ? "compute" : "mixed")
                              .as_ratio(0, 1);
  return std::min(1 - std::pow(1 - std::min(held / sms, 1.0), exponent), kMost);
}

}  // namespace moesim
