// Kernels are followed while exchanges run: up to an exchange's end, nothing behind it can have
// begun, so everything that may run beside it is known.
#include "sim/replay/streams.h"

#include <algorithm>
#include <limits>

namespace moesim {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
constexpr double kNever = std::numeric_limits<double>::infinity();

}  // namespace

Streams::Streams(const StepGraph& graph, Timeline& timeline)
    : graph_(graph),
      timeline_(timeline),
      ranks_(static_cast<std::size_t>(graph.ranks)),
      overlaps_(graph.overlaps()),
      last_kernel_(kNone),
      last_exchange_(kNone),
      of_rank_(ranks_) {
  if (graph.launch.count() > 0) hosts_.assign(ranks_, HostClock(graph));
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    exchange_before_.push_back(last_exchange_);
    if (graph.tasks[task].exchange < 0)
      kernels_.push_back(last_kernel_ = task);
    else
      last_exchange_ = task;
  }
}

double Streams::last_end(std::size_t rank) const {
  double last = 0;
  for (const std::size_t task : {last_kernel_, last_exchange_})
    if (task != kNone) last = std::max(last, end_of(task, rank));
  return last;
}

// When all that the task waits for has ended, but for its own stream.
double Streams::awaited(std::size_t task, std::size_t rank) const {
  const std::vector<std::uint32_t>& after = graph_.tasks[task].after;
  if (after.empty()) return task == 0 ? 0 : end_of(task - 1, rank);
  double latest = 0;
  for (const std::uint32_t before : after) latest = std::max(latest, end_of(before, rank));
  return latest;
}

double Streams::exchange_start(std::size_t task, std::size_t rank) const {
  const double start = awaited(task, rank);
  if (!overlaps_ || exchange_before_[task] == kNone) return start;
  return std::max(start, end_of(exchange_before_[task], rank));
}

double Streams::end_exchange(
    std::size_t task, std::size_t rank, double start, double ready, double alone) {
  double end = alone;
  if (overlaps_) {
    const Exchange& exchange =
        graph_.exchanges[static_cast<std::size_t>(graph_.tasks[task].exchange)];
    follow(rank, task, start, 1);
    follow(rank, task, ready, 1 - exchange.speed_taken);
    if (exchange.slowdown > 1)
      end = run_beside(rank, task, alone - ready);
    else
      follow(rank, task, alone, 1 - exchange.speed_taken);
  }
  at(task, rank) = {Seconds(start), Seconds(end)};
  return end;
}

double Streams::pass_exchange(std::size_t task, std::size_t rank) {
  const double start = exchange_start(task, rank);
  at(task, rank) = {Seconds(start), Seconds(start)};
  return start;
}

void Streams::finish_kernel(std::size_t task, std::size_t rank) {
  if (!overlaps_) {
    const double start = awaited(task, rank);
    at(task, rank) = {Seconds(start), Seconds(start) + Seconds(stall(task, rank, start)) +
                                          graph_.tasks[task].by_rank[rank]};
    return;
  }
  Kernels& kernels = of_rank_[rank];
  if (kernels.next == kernels_.size() || kernels_[kernels.next] > task) return;  // ended already
  if (!kernels.running) begin_next(rank, std::max(kernels.now, awaited(task, rank)));
  end_running(rank, kernels.now + kernels.left);
}

// When the next kernel can begin while `exchange` runs; kNever where it waits for that or a later
// one.
double Streams::next_start(std::size_t rank, std::size_t exchange) const {
  const Kernels& kernels = of_rank_[rank];
  if (kernels.next == kernels_.size()) return kNever;
  const std::size_t task = kernels_[kernels.next];
  const std::vector<std::uint32_t>& after = graph_.tasks[task].after;
  const auto unknown = [&](std::size_t before) {
    return before >= exchange && graph_.tasks[before].exchange >= 0;
  };
  if (after.empty() ? task > 0 && unknown(task - 1)
                    : std::any_of(after.begin(), after.end(), unknown))
    return kNever;
  return std::max(kernels.now, awaited(task, rank));
}

void Streams::begin_next(std::size_t rank, double start) {
  Kernels& kernels = of_rank_[rank];
  const std::size_t task = kernels_[kernels.next];
  kernels.running = true;
  kernels.now = start;
  kernels.left = stall(task, rank, start) + graph_.tasks[task].by_rank[rank].count();
  at(task, rank).start = Seconds(start);
}

void Streams::end_running(std::size_t rank, double end) {
  Kernels& kernels = of_rank_[rank];
  at(kernels_[kernels.next], rank).end = Seconds(end);
  kernels.running = false;
  kernels.now = end;
  ++kernels.next;
}

// Kernels run at `speed` until then.
void Streams::follow(std::size_t rank, std::size_t exchange, double until, double speed) {
  Kernels& kernels = of_rank_[rank];
  while (kernels.now < until) {
    if (!kernels.running) {
      const double start = next_start(rank, exchange);
      if (start >= until) break;
      begin_next(rank, start);
    }
    const double end = kernels.now + kernels.left / speed;
    if (end > until) {
      kernels.left -= (until - kernels.now) * speed;
      kernels.now = until;
      return;
    }
    end_running(rank, end);
  }
  kernels.now = std::max(kernels.now, until);
}

// The exchange has `work` seconds to go, each of which takes longer while a kernel runs.
double Streams::run_beside(std::size_t rank, std::size_t task, double work) {
  const Exchange& exchange =
      graph_.exchanges[static_cast<std::size_t>(graph_.tasks[task].exchange)];
  const double speed = 1 - exchange.speed_taken;
  Kernels& kernels = of_rank_[rank];
  while (true) {
    if (!kernels.running) {
      const double start = next_start(rank, task);
      if (start - kernels.now >= work) return kernels.now += work;
      work -= start - kernels.now;
      begin_next(rank, start);
    }
    const double needs = kernels.left / speed;
    if (work * exchange.slowdown <= needs) {
      kernels.left -= work * exchange.slowdown * speed;
      return kernels.now += work * exchange.slowdown;
    }
    work -= needs / exchange.slowdown;
    end_running(rank, kernels.now + needs);
  }
}

}  // namespace moesim
