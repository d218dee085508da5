// Finds the kinds of accelerators.
#include "sim/cost/rank_costs.h"

#include <algorithm>

namespace moesim {

RankCosts::RankCosts(const MoeModel& model,
                     const Cluster& cluster,
                     const Parallelism& parallelism,
                     const Precision& precision)
    : ranks_per_node_(static_cast<std::size_t>(cluster.fabric.ranks_per_node)),
      slow_(cluster.slow) {
  std::shared_ptr<const KernelTable> table;
  if (!cluster.spec.kernel_table.empty())
    table = std::make_shared<const KernelTable>(load_kernel_table(cluster.spec.kernel_table));
  const auto kind_of = [&](const Accelerator& gpu) {
    const auto same = [&](const auto& kind) { return kind->accelerator == gpu; };
    const auto found = std::find_if(kinds_.begin(), kinds_.end(), same);
    if (found != kinds_.end()) return static_cast<std::size_t>(found - kinds_.begin());
    kinds_.push_back(std::make_unique<const Kind>(gpu, model, parallelism, precision, table));
    return kinds_.size() - 1;
  };
  if (cluster.by_node.empty()) kind_of(cluster.accelerator);
  for (const Accelerator& gpu : cluster.by_node) kind_of_node_.push_back(kind_of(gpu));
}

}  // namespace moesim
