// Time of single kernels on one accelerator, from its datasheet and topologies/calibration/
// kernels.json. Formulas: docs/models.md, "Kernels".
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/core/metric.h"
#include "sim/core/units.h"
#include "sim/cost/efficiency.h"
#include "sim/cost/kernel_work.h"

namespace moesim {

// basis: the weakest among the kernels that take a tenth of the time or more; the small ones beside
// them do not decide how far the figure can be trusted.
struct KernelCost {
  Flops flops;  // executed: the expert GEMM's padding rows included
  Bytes bytes;  // device memory traffic
  Seconds time{};
  Basis basis = Basis::datasheet;
};

// The accelerator must outlive the object.
class KernelTimer {
 public:
  explicit KernelTimer(const Accelerator& accelerator);

  const Accelerator& accelerator() const { return accelerator_; }
  KernelCost time(const KernelWork& work) const;
  KernelCost sum(const std::vector<KernelWork>& works) const;  // one after another
  // Peak and bandwidth of the datasheet alone, without launch or efficiency.
  Seconds datasheet_time(const std::vector<KernelWork>& works) const;

  // What weights so stored compute in: fp8 and mxfp4 in fp8 where the accelerator has it, else in
  // bf16; int4 in bf16.
  std::string compute_precision(WeightFormat format) const;
  // InputError when the accelerator states no peak for that.
  void check_precision(WeightFormat format) const;

 private:
  const Accelerator& accelerator_;
  EfficiencyTable efficiencies_;
};

}  // namespace moesim
