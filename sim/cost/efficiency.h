// Efficiencies of kernels on one accelerator, from topologies/calibration/kernels.json.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/core/metric.h"
#include "sim/core/units.h"
#include "sim/cost/product_tiles.h"

namespace moesim {

struct Efficiency {
  double flops = 1, bandwidth = 1;  // reached shares of the datasheet's peak and bandwidth, 0..1
  Seconds launch{};                 // time of the kernel when there is nothing to do
  std::string accelerator;          // it was calibrated on
  std::string precision;            // it was calibrated in
  Basis basis = Basis::datasheet;   // of the entry itself
};

struct EfficiencyTable {
  std::string accelerator;                      // it is used for
  std::map<std::string, Efficiency> by_kernel;  // "dense_gemm", "expert_gemm", ...
  TileRates tiles;                              // sms: of the accelerator they were found on
  std::vector<std::string> masked_after;        // all-to-alls that leave rows in the masked layout

  // A calibration made on other hardware or in another precision is `transferred`.
  Basis basis(const std::string& kernel, const std::string& precision) const;
};

// Of the entries of each kernel: the one of this accelerator, else the first that names it in
// stands_for, else the first.
EfficiencyTable load_efficiencies(const std::string& accelerator);

}  // namespace moesim
