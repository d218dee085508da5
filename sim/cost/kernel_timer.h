// Time of single kernels on one accelerator: measured where a table reaches, else from the
// datasheet and topologies/calibration/kernels.json. Formulas: docs/models.md, "Kernels".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/core/metric.h"
#include "sim/core/units.h"
#include "sim/cost/efficiency.h"
#include "sim/cost/kernel_table.h"
#include "sim/cost/kernel_work.h"

namespace moesim {

// basis: the weakest among the kernels that take a tenth of the time or more; the small ones beside
// them do not decide how far the figure can be trusted.
struct KernelCost {
  Flops flops;  // executed: rows that fill up tiles included
  Bytes bytes;  // device memory traffic
  Seconds time{};
  Basis basis = Basis::datasheet;
  int launches = 1;  // kernels
};

// The accelerator must outlive the object.
class KernelTimer {
 public:
  explicit KernelTimer(const Accelerator& accelerator,
                       std::shared_ptr<const KernelTable> table = nullptr);

  const EfficiencyTable& efficiencies() const { return efficiencies_; }
  // Of the accelerator, or of the one that it takes its tile rates from.
  double sms() const { return efficiencies_.tiles_of("").sms; }
  KernelCost time(const KernelWork& work) const;
  KernelCost sum(const std::vector<KernelWork>& works) const;  // one after another
  // What the calls of benchmarks add that time kernels one by one from the host.
  Seconds call_time(const std::vector<KernelWork>& works) const;
  // Of the table alone; nullopt without one and outside it.
  std::optional<Seconds> measured(const std::string& kernel,
                                  const std::string& precision,
                                  const TablePoint& point) const;
  // Peak and bandwidth of the datasheet alone, without launch, efficiency or tiles.
  Seconds datasheet_time(const std::vector<KernelWork>& works) const;

  // What weights so stored compute in: fp8 and mxfp4 in fp8 where the accelerator has it, else in
  // bf16; int4 in bf16.
  std::string compute_precision(WeightFormat format) const;
  // InputError when the accelerator states no peak for that.
  void check_precision(WeightFormat format) const;

 private:
  const Accelerator& accelerator_;
  EfficiencyTable efficiencies_;
  std::shared_ptr<const KernelTable> table_;
};

}  // namespace moesim
