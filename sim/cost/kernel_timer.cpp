// Roofline times, and what a sum of them rests on.
#include "sim/cost/kernel_timer.h"

#include <algorithm>

#include "sim/core/error.h"

namespace moesim {

KernelTimer::KernelTimer(const Accelerator& accelerator)
    : accelerator_(accelerator), efficiencies_(load_efficiencies(accelerator.name)) {}

KernelCost KernelTimer::time(const KernelWork& work) const {
  const Efficiency& efficiency = efficiencies_.by_kernel.at(work.kernel);
  const Seconds compute = work.flops / accelerator_.peak.at(work.precision) / efficiency.flops;
  const Seconds memory = work.bytes / accelerator_.memory_bandwidth / efficiency.bandwidth;
  return {work.flops, work.bytes, efficiency.launch + std::max(compute, memory),
          efficiencies_.basis(work.kernel, work.precision)};
}

KernelCost KernelTimer::sum(const std::vector<KernelWork>& works) const {
  std::vector<KernelCost> parts;
  KernelCost total;
  for (const KernelWork& work : works) {
    parts.push_back(time(work));
    total.flops += parts.back().flops;
    total.bytes += parts.back().bytes;
    total.time += parts.back().time;
  }
  total.basis = Basis::exact;
  for (const KernelCost& part : parts) {
    if (part.time >= 0.1 * total.time) total.basis = weaker(total.basis, part.basis);
  }
  return total;
}

Seconds KernelTimer::datasheet_time(const std::vector<KernelWork>& works) const {
  Seconds sum{};
  for (const KernelWork& work : works)
    sum += std::max(work.flops / accelerator_.peak.at(work.precision),
                    work.bytes / accelerator_.memory_bandwidth);
  return sum;
}

std::string KernelTimer::compute_precision(WeightFormat format) const {
  if (format == WeightFormat::f32) return "f32";
  const bool small = format == WeightFormat::fp8 || format == WeightFormat::mxfp4;
  return small && accelerator_.peak.count("fp8") != 0 ? "fp8" : "bf16";
}

void KernelTimer::check_precision(WeightFormat format) const {
  const std::string needed = compute_precision(format);
  if (accelerator_.peak.count(needed) == 0)
    throw InputError("accelerator \"" + accelerator_.name + "\" states no peak for " + needed +
                     ", which weights stored in " + to_text(format) + " compute in");
}

}  // namespace moesim
