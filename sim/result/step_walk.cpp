// Streams are followed by their ends; where nothing overlaps the task before is the one waited for.
#include "sim/result/step_walk.h"

#include <algorithm>

#include "sim/replay/host_clock.h"

namespace moesim {

StepWalk::StepWalk(const StepGraph& graph, const Timeline& timeline)
    : graph_(graph), timeline_(timeline), overlaps_(graph.overlaps()) {
  std::size_t of_stream[2] = {kStepBegin, kStepBegin};
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    std::size_t& before = of_stream[is_exchange(task) ? 1 : 0];
    on_stream_before_.push_back(before);
    before = task;
  }
  find_late();
  if (graph.launch.count() > 0) find_stalls();
  for (int rank = 0; rank < graph.ranks && !graph.tasks.empty(); ++rank) {
    const TaskAt one = last_of(rank);
    if (rank == 0 || end(one) > end(last_)) last_ = one;
  }
  if (!overlaps_) return;
  own_.resize(graph.tasks.size() * static_cast<std::size_t>(graph.ranks));
  wait_.resize(own_.size());
  for (int rank = 0; rank < graph.ranks; ++rank) find_exposed(rank);
}

void StepWalk::find_late() {
  const auto ranks = static_cast<std::size_t>(graph_.ranks);
  late_.assign(graph_.tasks.size() * ranks, -1);
  for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
    if (!is_exchange(task)) continue;
    const int size = graph_.group_ranks(task);
    const RankRange among = graph_.among(task);
    for (int rank = 0; rank < graph_.ranks; ++rank)  // who takes no part waits for nobody
      late_[place({task, rank})] = rank;
    for (int first = among.first; first < among.last; first += size) {
      int late = first;
      for (int rank = first + 1; rank < first + size; ++rank)
        if (timeline_.at(task, rank).start > timeline_.at(task, late).start) late = rank;
      std::fill_n(late_.begin() + static_cast<std::ptrdiff_t>(place({task, first})), size, late);
    }
  }
}

TaskAt StepWalk::last_of(int rank) const {
  TaskAt last{graph_.tasks.size() - 1, rank};
  if (!overlaps_) return last;
  for (std::size_t task = last.task; task-- > 0;)
    if (end({task, rank}) > end(last)) last.task = task;
  return last;
}

TaskAt StepWalk::before(TaskAt at) const {
  const std::vector<std::uint32_t>& after = graph_.tasks[at.task].after;
  const TaskAt just_before{at.task == 0 ? kStepBegin : at.task - 1, at.rank};
  if (!overlaps_ || at.task == 0) return just_before;
  TaskAt found{on_stream_before_[at.task], at.rank};
  const auto meet = [&](TaskAt other) {
    const bool later = found.task == kStepBegin || end(other) > end(found) ||
                       (end(other) == end(found) && other.task > found.task);
    if (later) found = other;
  };
  if (after.empty()) meet(just_before);
  for (const std::uint32_t task : after) meet({task, at.rank});
  return found;
}

double StepWalk::own_seconds(TaskAt at) const {
  const Interval& interval = timeline_.at(at.task, at.rank);
  return (interval.end -
          (is_exchange(at.task) ? timeline_.ready_at(at.task, at.rank) : interval.start))
      .count();
}

double StepWalk::noise_seconds(TaskAt at) const {
  const std::vector<Seconds>& noise = graph_.tasks[at.task].noise;
  return noise.empty() ? 0 : noise[static_cast<std::size_t>(at.rank)].count();
}

void StepWalk::find_stalls() {
  stalls_.resize(graph_.tasks.size() * static_cast<std::size_t>(graph_.ranks));
  for (int rank = 0; rank < graph_.ranks; ++rank) {
    HostClock host(graph_);
    for (std::size_t task = 0; task < graph_.tasks.size(); ++task)
      if (!is_exchange(task))
        stalls_[place({task, rank})] = host.stall(task, static_cast<std::size_t>(rank),
                                                  timeline_.at(task, rank).start.count());
  }
}

double StepWalk::launch_seconds(TaskAt at) const {
  return stalls_.empty() ? 0 : stalls_[place(at)];
}

double StepWalk::waited(TaskAt at) const {
  return (timeline_.ready_at(at.task, at.rank) - timeline_.at(at.task, at.rank).start).count();
}

double StepWalk::exposed_own(TaskAt at) const {
  return overlaps_ ? own_[place(at)] : own_seconds(at);
}

double StepWalk::exposed_wait(TaskAt at) const { return overlaps_ ? wait_[place(at)] : waited(at); }

// Kernels and exchanges of a rank each follow one another in time, so one pass meets all pairs.
void StepWalk::find_exposed(int rank) {
  std::vector<Interval> kernels;
  for (std::size_t task = 0; task < graph_.tasks.size(); ++task)
    if (!is_exchange(task)) kernels.push_back(timeline_.at(task, rank));
  std::size_t first = 0;
  const auto bare = [&](Seconds from, Seconds to) {
    while (first < kernels.size() && kernels[first].end <= from) ++first;
    Seconds rest = to - from;
    for (std::size_t i = first; i < kernels.size() && kernels[i].start < to; ++i)
      rest -= std::min(to, kernels[i].end) - std::max(from, kernels[i].start);
    return std::max(rest.count(), 0.0);
  };
  for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
    if (!is_exchange(task)) continue;
    const Interval& interval = timeline_.at(task, rank);
    const Seconds ready = timeline_.ready_at(task, rank);
    wait_[place({task, rank})] = bare(interval.start, ready);
    own_[place({task, rank})] = bare(ready, interval.end);
  }
}

}  // namespace moesim
