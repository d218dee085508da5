// The two streams of every rank: kernels, and exchanges, each in the order of the tasks. What runs
// at the same time on a rank slows each other down. No SimGrid here. Formulas: docs/models.md,
// "Overlap".
#pragma once

#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/host_clock.h"
#include "sim/replay/replay.h"

namespace moesim {

// Fills the timeline's intervals. Call for every rank in the order of the tasks: exchange_start and
// end_exchange of an exchange, finish_kernel of a kernel. Times in seconds since the step began.
class Streams {
 public:
  Streams(const StepGraph& graph, Timeline& timeline);

  double exchange_start(std::size_t task, std::size_t rank) const;

  // The exchange runs from `start` on, moves something from `ready` on, and would end at `alone` if
  // the rank's kernels stood still. Returns when it ends; kernels that it does not hold up have
  // then got as far as they come.
  double end_exchange(std::size_t task, std::size_t rank, double start, double ready, double alone);

  // Of an exchange that the rank takes no part in: it takes no time. Returns when.
  double pass_exchange(std::size_t task, std::size_t rank);

  void finish_kernel(std::size_t task, std::size_t rank);

  double last_end(std::size_t rank) const;  // when all its tasks are done

 private:
  struct Kernels {         // of one rank
    std::size_t next = 0;  // in kernels_: the one that runs, or is the next to
    bool running = false;
    double now = 0;   // up to when they are followed
    double left = 0;  // s of the running one, had it all SMs
  };

  Interval& at(std::size_t task, std::size_t rank) {
    return timeline_.intervals[task * ranks_ + rank];
  }
  double end_of(std::size_t task, std::size_t rank) const {
    return timeline_.intervals[task * ranks_ + rank].end.count();
  }
  double awaited(std::size_t task, std::size_t rank) const;
  double next_start(std::size_t rank, std::size_t exchange) const;
  double stall(std::size_t task, std::size_t rank, double start) {
    return hosts_.empty() ? 0 : hosts_[rank].stall(task, rank, start);
  }
  void begin_next(std::size_t rank, double start);
  void end_running(std::size_t rank, double end);
  void follow(std::size_t rank, std::size_t exchange, double until, double speed);
  double run_beside(std::size_t rank, std::size_t exchange, double work);

  const StepGraph& graph_;
  Timeline& timeline_;
  std::size_t ranks_;
  bool overlaps_;
  std::size_t last_kernel_, last_exchange_;   // tasks; kNone: there is none
  std::vector<std::size_t> kernels_;          // tasks
  std::vector<std::size_t> exchange_before_;  // by task; kNone: there is none
  std::vector<Kernels> of_rank_;
  std::vector<HostClock> hosts_;  // by rank; empty: graphs were captured
};

}  // namespace moesim
