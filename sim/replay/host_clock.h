// When a rank's host has launched its kernels, where no graph was captured. Formula:
// docs/models.md, "Launches".
#pragma once

#include <algorithm>
#include <vector>

#include "sim/plan/step_graph.h"

namespace moesim {

// The host launches one kernel after another from the step's beginning, or the end of its own task,
// on, whatever the GPU does: a kernel starts when it has been launched. Call stall for every kernel
// of the graph in its order.
class HostClock {
 public:
  explicit HostClock(const StepGraph& graph) : graph_(&graph) {
    int exchanges = 0;
    for (const Task& task : graph.tasks) {
      launches_.push_back(task.exchange >= 0 ? 0 : task.launches + exchanges);
      exchanges = task.exchange >= 0 ? exchanges + task.launches : 0;
    }
  }

  // s that the rank's kernel, ready to start at `start`, waits for its launch. A rank with no part
  // in the task launches nothing.
  double stall(std::size_t task, std::size_t rank, double start) {
    const Task& kernel = graph_->tasks[task];
    const double cost = kernel.by_rank[rank].count();
    if (graph_->launch.count() == 0 || cost == 0) return 0;
    if (kernel.kind == TaskKind::host) {
      launched_ = start + cost;
      return 0;
    }
    launched_ += launches_[task] * graph_->launch.count();
    return std::max(0.0, launched_ - start);
  }

 private:
  const StepGraph* graph_;     // must outlive the object
  std::vector<int> launches_;  // by task: of a kernel and the exchanges just before it
  double launched_ = 0;        // when the host has launched all up to here
};

}  // namespace moesim
