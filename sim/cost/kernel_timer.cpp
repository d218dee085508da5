// Roofline times, and what a sum of them rests on.
#include "sim/cost/kernel_timer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/core/error.h"

namespace moesim {

namespace {

Seconds joined(Seconds compute, Seconds memory, double knee) {
  const auto [shorter, longer] = std::minmax(compute, memory);
  if (knee == 0 || longer == Seconds(0)) return longer;
  return longer * std::pow(1 + std::pow(shorter / longer, knee), 1 / knee);
}

}  // namespace

KernelTimer::KernelTimer(const Accelerator& accelerator, std::shared_ptr<const KernelTable> table)
    : accelerator_(accelerator),
      efficiencies_(load_efficiencies(accelerator.name)),
      table_(std::move(table)) {
  if (accelerator.sms == 0) return;
  for (auto& [precision, rates] : efficiencies_.tiles) rates.sms = accelerator.sms;
}

std::optional<Seconds> KernelTimer::measured(const std::string& kernel,
                                             const std::string& precision,
                                             const TablePoint& point) const {
  return table_ ? table_->find(accelerator_.name, kernel, precision, point) : std::nullopt;
}

KernelCost KernelTimer::time(const KernelWork& work) const {
  const Efficiency& efficiency = efficiencies_.of(work.kernel, work.precision);
  const FlopsPerSecond peak = accelerator_.peak.at(work.precision) * efficiency.flops;
  const Seconds memory = work.bytes / accelerator_.memory_bandwidth / efficiency.bandwidth;
  KernelCost cost{work.flops, work.bytes, {}, efficiencies_.basis(work.kernel, work.precision), 1};
  Seconds compute = work.flops / peak;
  if (work.tiles.exist()) {
    const TileTime tiles =
        tile_time(work.tiles, efficiencies_.tiles_of(efficiency.precision), peak);
    compute = tiles.time;
    cost.flops = Flops(2 * tiles.rows * work.tiles.inner * work.tiles.outer);
  }
  cost.time = efficiency.launch + joined(compute, memory, efficiency.knee);
  if (const auto time = measured(work.kernel, work.precision, work.point)) {
    cost.time = *time;
    cost.basis = Basis::measured_table;
  }
  return cost;
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
  total.launches = static_cast<int>(works.size());
  total.basis = Basis::exact;
  for (const KernelCost& part : parts) {
    if (part.time >= 0.1 * total.time) total.basis = weaker(total.basis, part.basis);
  }
  return total;
}

Seconds KernelTimer::call_time(const std::vector<KernelWork>& works) const {
  Seconds sum{};
  for (const KernelWork& work : works) sum += efficiencies_.of(work.kernel, work.precision).call;
  return sum;
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
