// Recomputes each start from the ends before it, and each kernel's work from what ran beside it.
#include "sim/replay/check_streams.h"

#include <algorithm>
#include <cmath>

#include "sim/replay/broken_law.h"
#include "sim/replay/host_clock.h"

namespace moesim {
namespace {

constexpr double kTolerance = 1e-9;

class RankCheck {
 public:
  RankCheck(const StepGraph& graph, const Timeline& timeline, int rank)
      : graph_(graph),
        timeline_(timeline),
        rank_(rank),
        overlaps_(graph.overlaps()),
        host_(graph) {}

  // Returns the rank's last end.
  double run() {
    if (overlaps_) find_holding();
    double last = 0, of_stream[2] = {0, 0};
    for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
      double& before = of_stream[graph_.tasks[task].exchange < 0 ? 0 : 1];
      check_start(task, std::max(before, awaited(task)));
      if (graph_.tasks[task].exchange < 0) check_cost(task);
      before = end(task);
      last = std::max(last, before);
    }
    return last;
  }

 private:
  struct Holding {
    double start, end, share;
  };

  double start(std::size_t task) const { return timeline_.at(task, rank_).start.count(); }
  double end(std::size_t task) const { return timeline_.at(task, rank_).end.count(); }
  double slack() const { return kTolerance * timeline_.makespan.count(); }

  double awaited(std::size_t task) const {
    double latest = 0;
    if (graph_.tasks[task].after.empty()) return task == 0 ? 0 : end(task - 1);
    for (const std::uint32_t before : graph_.tasks[task].after)
      latest = std::max(latest, end(before));
    return latest;
  }

  void check_start(std::size_t task, double before) const {
    if (std::abs(start(task) - before) > slack() || end(task) < start(task))
      broken(task_name(graph_, task),
             fmt::format("on rank {} from {} s to {} s, the task before ended at {} s", rank_,
                         start(task), end(task), before));
  }

  // Exchanges that take SMs, in the order of time.
  void find_holding() {
    for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
      if (graph_.tasks[task].exchange < 0) continue;
      const Exchange& exchange =
          graph_.exchanges[static_cast<std::size_t>(graph_.tasks[task].exchange)];
      if (exchange.speed_taken > 0)
        holding_.push_back({start(task), end(task), exchange.speed_taken});
    }
  }

  double taken(std::size_t task) {
    while (first_ < holding_.size() && holding_[first_].end <= start(task)) ++first_;
    double seconds = 0;
    for (std::size_t i = first_; i < holding_.size() && holding_[i].start < end(task); ++i)
      seconds += holding_[i].share *
                 (std::min(end(task), holding_[i].end) - std::max(start(task), holding_[i].start));
    return seconds;
  }

  void check_cost(std::size_t task) {
    const auto rank = static_cast<std::size_t>(rank_);
    const double cost =
        graph_.tasks[task].by_rank[rank].count() + host_.stall(task, rank, start(task));
    const double lost = overlaps_ ? taken(task) : 0;
    if (std::abs(end(task) - start(task) - lost - cost) > slack())
      broken(
          task_name(graph_, task),
          fmt::format("took {} s on rank {}, its cost is {} s{}", end(task) - start(task), rank_,
                      cost, lost > 0 ? fmt::format(", exchanges beside it took {} s", lost) : ""));
  }

  const StepGraph& graph_;
  const Timeline& timeline_;
  const int rank_;
  const bool overlaps_;
  HostClock host_;
  std::vector<Holding> holding_;
  std::size_t first_ = 0;  // of those that have not ended when the kernel begins
};

}  // namespace

void check_streams(const StepGraph& graph, const Timeline& timeline) {
  double last = 0;
  for (int rank = 0; rank < graph.ranks; ++rank)
    last = std::max(last, RankCheck(graph, timeline, rank).run());
  if (std::abs(last - timeline.makespan.count()) > kTolerance * timeline.makespan.count())
    broken("step",
           fmt::format("makespan {} s, last task ends at {} s", timeline.makespan.count(), last));
}

}  // namespace moesim
