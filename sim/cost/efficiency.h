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
  Seconds call{};                   // more of it where its measurements had the host's call in them
  // Compute and memory time join as (c^knee + m^knee)^(1/knee); 0 = the longer of both.
  double knee = 0;
  std::string accelerator;         // it was calibrated on
  std::string precision;           // it was calibrated in
  Basis basis = Basis::datasheet;  // of the entry itself
};

// What is known of one thing, by the precision it was found in; "" suits all others.
template <class Value>
using ByPrecision = std::map<std::string, Value>;

struct EfficiencyTable {
  std::string accelerator;                                // it is used for
  std::map<std::string, ByPrecision<Efficiency>> kernel;  // "dense_gemm", "attention_prefill", ...
  ByPrecision<TileRates> tiles;           // sms: of the accelerator they were found on
  std::vector<std::string> masked_after;  // all-to-alls that leave rows in the masked layout

  const Efficiency& of(const std::string& name, const std::string& precision) const;
  // The precision that a kernel's efficiency was found in: both were fitted together.
  const TileRates& tiles_of(const std::string& precision) const;
  // A calibration made on other hardware or in another precision is `transferred`.
  Basis basis(const std::string& name, const std::string& precision) const;
};

// Of the entries of each kernel in a precision: the one of this accelerator, else the first that
// names it in stands_for. Where neither is there, the same over all precisions, else the first.
EfficiencyTable load_efficiencies(const std::string& accelerator);

}  // namespace moesim
