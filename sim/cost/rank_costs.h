// RankCosts: the kernel costs of every rank of a cluster whose GPUs may differ. Each kind of
// accelerator is costed once; a rank's times are its kind's, times how slow the rank is.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cost/kernel_costs.h"

namespace moesim {

// The constructor throws as KernelCosts does, for any kind, and as load_kernel_table where the
// cluster names a table. model must outlive the object.
class RankCosts {
 public:
  RankCosts(const MoeModel& model,
            const Cluster& cluster,
            const Parallelism& parallelism,
            const Precision& precision);

  // Ranks of one kind have equal costs, but for slow_of.
  std::size_t kinds() const { return kinds_.size(); }
  std::size_t kind_of(Rank rank) const {
    return kind_of_node_.empty() ? 0 : kind_of_node_[node(rank)];
  }
  const KernelCosts& of_kind(std::size_t kind) const { return kinds_[kind]->costs; }
  double slow_of(Rank rank) const { return slow_.empty() ? 1 : slow_[index(rank)]; }

 private:
  struct Kind {
    Accelerator accelerator;
    KernelCosts costs;  // of the accelerator beside it
    Kind(const Accelerator& gpu,
         const MoeModel& model,
         const Parallelism& parallelism,
         const Precision& precision,
         std::shared_ptr<const KernelTable> table)
        : accelerator(gpu), costs(model, accelerator, parallelism, precision, std::move(table)) {}
  };
  std::size_t node(Rank rank) const { return index(rank) / ranks_per_node_; }

  std::size_t ranks_per_node_;
  std::vector<std::unique_ptr<const Kind>> kinds_;
  std::vector<std::size_t> kind_of_node_;  // empty = all of kind 0
  std::vector<double> slow_;               // by rank; empty = 1
};

}  // namespace moesim
