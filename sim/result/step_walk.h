// Walks a replayed step backwards: which task each task waited for, and what of an exchange kernels
// hid.
#pragma once

#include <limits>
#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"

namespace moesim {

struct TaskAt {
  std::size_t task = 0;
  int rank = 0;
  bool operator==(const TaskAt&) const = default;
};
inline constexpr std::size_t kStepBegin = std::numeric_limits<std::size_t>::max();

class StepWalk {
 public:
  // Both must outlive the object.
  StepWalk(const StepGraph& graph, const Timeline& timeline);

  TaskAt last() const { return last_; }  // ends the step; of the lowest rank on ties
  TaskAt last_of(int rank) const;        // ends on a rank
  // The rank of an exchange's group that started it last, the lowest on ties.
  int late(TaskAt exchange) const { return late_[place(exchange)]; }
  // What ended last of all that the task waited for on its rank; task kStepBegin: nothing.
  TaskAt before(TaskAt at) const;
  // Time of a task itself, without waiting for other ranks.
  double own_seconds(TaskAt at) const;
  double noise_seconds(TaskAt at) const;   // of that
  double launch_seconds(TaskAt at) const;  // of that: until the host had launched it
  bool is_exchange(std::size_t task) const { return graph_.tasks[task].exchange >= 0; }

  // Of an exchange on a rank, while no kernel of that rank ran: its own time, and its waiting.
  double exposed_own(TaskAt exchange) const;
  double exposed_wait(TaskAt exchange) const;
  double waited(TaskAt exchange) const;  // exposed or not

 private:
  std::size_t place(TaskAt at) const {
    return at.task * static_cast<std::size_t>(graph_.ranks) + static_cast<std::size_t>(at.rank);
  }
  double end(TaskAt at) const { return timeline_.at(at.task, at.rank).end.count(); }
  void find_late();
  void find_stalls();
  void find_exposed(int rank);

  const StepGraph& graph_;
  const Timeline& timeline_;
  bool overlaps_;
  TaskAt last_;
  std::vector<std::size_t> on_stream_before_;  // by task; kStepBegin: none
  std::vector<int> late_;                      // by task and rank; -1 for kernels
  std::vector<double> own_, wait_;             // by task and rank; empty when nothing overlaps
  std::vector<double> stalls_;                 // likewise; empty where graphs were captured
};

}  // namespace moesim
