// Events are collected as text with their time, then sorted.
#include "sim/result/perfetto_timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "sim/core/error.h"
#include "sim/result/step_walk.h"

namespace moesim {
namespace {

constexpr std::size_t kBytesOfEvent = 140;
constexpr int kKernels = 1, kExchanges = 2;  // tracks of a rank

// Times are whole nanoseconds, written as the microseconds that the format has.
std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }
std::string microseconds(std::int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

// Inside a JSON text: names of cables come from files.
std::string escaped(const std::string& name) {
  const std::string text =
      nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.substr(1, text.size() - 2);
}

class Trace {
 public:
  Trace(const StepGraph& graph, const Timeline& timeline, const Fabric& fabric)
      : graph_(graph), timeline_(timeline), fabric_(fabric), walk_(graph, timeline) {
    const std::vector<LinkEnds> ends = link_ends(fabric);
    for (std::size_t link = 0; link < ends.size(); ++link)
      for (const Vertex end : {ends[link].from, ends[link].to})
        if (end < static_cast<Vertex>(graph.ranks)) ports_[static_cast<int>(end)].push_back(link);
  }

  // Ranks that others waited for most, and the one that ends the step, come first.
  std::vector<int> ranks_by_interest() const {
    std::vector<double> caused(static_cast<std::size_t>(graph_.ranks));
    for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
      if (!walk_.is_exchange(task)) continue;
      for (int rank = 0; rank < graph_.ranks; ++rank)
        caused[static_cast<std::size_t>(walk_.late({task, rank}))] += walk_.waited({task, rank});
    }
    std::vector<int> ranks(caused.size());
    std::iota(ranks.begin(), ranks.end(), 0);
    std::stable_sort(ranks.begin(), ranks.end(), [&](int a, int b) {
      return caused[static_cast<std::size_t>(a)] > caused[static_cast<std::size_t>(b)];
    });
    const auto last = std::find(ranks.begin(), ranks.end(), walk_.last().rank);
    std::rotate(ranks.begin(), last, last + 1);
    return ranks;
  }

  bool shown(std::size_t task, const TimelineChoice& choice) const {
    const int layer = std::max(graph_.tasks[task].layer, 0);
    return layer >= choice.first_layer && layer <= choice.last_layer;
  }

  // About how many events a rank makes; in a pipeline it has a stage's share of the tasks.
  std::size_t events_of_rank(const TimelineChoice& choice) const {
    std::size_t events = 0;
    for (std::size_t task = 0; task < graph_.tasks.size(); ++task)
      if (shown(task, choice)) events += walk_.is_exchange(task) ? 4 + 2 * 4 : 1;
    const int stages = graph_.stage_ranks > 0 ? graph_.ranks / graph_.stage_ranks : 1;
    return 4 + events / static_cast<std::size_t>(stages);
  }

  void show(const std::vector<int>& ranks) { ranks_.insert(ranks.begin(), ranks.end()); }

  void add_rank(int rank, const TimelineChoice& choice, const MemoryLedger& ledger) {
    const int process = rank + 1;
    metadata("process_name", process, 0, fmt::format("rank {}", rank));
    metadata("thread_name", process, kKernels, "kernels");
    metadata("thread_name", process, kExchanges, "exchanges");
    if (!ledger.ranks.empty()) {
      Bytes used;
      for (const Bytes bytes :
           ledger.ranks[static_cast<std::size_t>(rank) % ledger.ranks.size()].by_kind)
        used += bytes;
      counter(0, process, "memory, GiB", used.value / (1 << 30));
    }
    for (std::size_t task = 0; task < graph_.tasks.size(); ++task)
      if (shown(task, choice)) add_task({task, rank});
  }

  std::string text() {
    std::stable_sort(events_.begin(), events_.end(),
                     [](const Event& a, const Event& b) { return a.at < b.at; });
    std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
    for (std::size_t i = 0; i < events_.size(); ++i)
      text += events_[i].text + (i + 1 < events_.size() ? ",\n" : "\n");
    return text + "]}\n";
  }

 private:
  struct Event {
    double at = 0;  // s; -1: before all
    std::string text;
  };

  void metadata(const char* what, int process, int track, const std::string& name) {
    events_.push_back(
        {-1, fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":"{}"}}}})",
                         what, process, track, name)});
  }

  void counter(double at, int process, const std::string& name, double value) {
    events_.push_back(
        {at, fmt::format(R"({{"ph":"C","name":"{}","pid":{},"ts":{},"args":{{"value":{:.4g}}}}})",
                         name, process, microseconds(nanoseconds(at)), value)});
  }

  // A nanosecond short: readers that cut times to their own unit, or add them up in floating point,
  // would see it reach into the next slice of the track and drop one of them.
  void slice(TaskAt at, int track, const std::string& name, double start, double end) {
    const Task& task = graph_.tasks[at.task];
    const std::int64_t first = nanoseconds(start);
    const std::int64_t lasts = std::max<std::int64_t>(nanoseconds(end) - first - 1, 0);
    events_.push_back(
        {start, fmt::format(R"({{"ph":"X","name":"{}","pid":{},"tid":{},"ts":{},"dur":{},)"
                            R"("args":{{"layer":{},"micro_batch":{}}}}})",
                            name, at.rank + 1, track, microseconds(first), microseconds(lasts),
                            task.layer, task.micro_batch)});
  }

  // Tasks of another stage of a pipeline: the rank has nothing to do with them.
  bool of_others(TaskAt at) const {
    if (graph_.stage_ranks == 0) return false;
    if (walk_.is_exchange(at.task)) return !graph_.among(at.task).has(at.rank);
    return graph_.tasks[at.task].by_rank[static_cast<std::size_t>(at.rank)].count() == 0;
  }

  void add_task(TaskAt at) {
    if (of_others(at)) return;
    const Interval& interval = timeline_.at(at.task, at.rank);
    const std::string name = to_text(graph_.tasks[at.task].kind);
    const double start = interval.start.count(), end = interval.end.count();
    if (!walk_.is_exchange(at.task)) return slice(at, kKernels, name, start, end);
    const double ready = timeline_.ready_at(at.task, at.rank).count();
    if (ready > start) slice(at, kExchanges, "wait", start, ready);
    slice(at, kExchanges, name, ready, end);
    if (ready > start && ranks_.count(walk_.late(at)) > 0) add_arrow(at, ready);
    add_links(at, ready);
  }

  // From the exchange of the rank that came last to that of one that waited for it.
  void add_arrow(TaskAt at, double ready) {
    const int late = walk_.late(at);
    ++arrows_;
    const auto end = [&](const char* phase, int rank) {
      events_.push_back(
          {ready,
           fmt::format(R"({{"ph":"{}","name":"late","cat":"wait","id":{},"pid":{},"tid":{},)"
                       R"("ts":{}{}}})",
                       phase, arrows_, rank + 1, kExchanges, microseconds(nanoseconds(ready)),
                       *phase == 'f' ? R"(,"bp":"e")" : "")});
    };
    end("s", late);
    end("f", at.rank);
  }

  void add_links(TaskAt at, double ready) {
    const auto number = static_cast<std::size_t>(graph_.tasks[at.task].exchange);
    const Exchange& exchange = graph_.exchanges[number];
    const auto found = ports_.find(at.rank);
    if (found == ports_.end()) return;
    for (const std::size_t link : found->second) {
      const double bytes = exchange.link_bytes[link].value;
      if (bytes == 0) continue;
      const LinkId id = id_of<LinkId>(link);
      const double drained =
          timeline_.drained_at(number, id, busy_time(exchange, fabric_, id)).count();
      if (drained <= ready) continue;
      const Link& one = fabric_.links[link];
      const std::string name = escaped(one.name) + ", share of bandwidth";
      counter(ready, at.rank + 1, name,
              std::min(1.0, bytes / one.bandwidth.value / (drained - ready)));
      counter(drained, at.rank + 1, name, 0);
    }
  }

  const StepGraph& graph_;
  const Timeline& timeline_;
  const Fabric& fabric_;
  const StepWalk walk_;
  std::map<int, std::vector<std::size_t>> ports_;  // by rank: links that begin or end there
  std::set<int> ranks_;                            // shown: an arrow needs both its ends
  std::vector<Event> events_;
  std::size_t arrows_ = 0;
};

}  // namespace

std::string perfetto_timeline(const StepGraph& graph,
                              const Timeline& timeline,
                              const Fabric& fabric,
                              const MemoryLedger& ledger,
                              const TimelineChoice& choice) {
  for (const int rank : choice.ranks)
    if (rank < 0 || rank >= graph.ranks)
      throw InputError(
          fmt::format("timeline of rank {}: the step has ranks 0 to {}", rank, graph.ranks - 1));
  Trace trace(graph, timeline, fabric);
  std::vector<int> ranks = choice.ranks.empty() ? trace.ranks_by_interest() : choice.ranks;
  const std::size_t fit =
      choice.most_bytes / (kBytesOfEvent * std::max<std::size_t>(trace.events_of_rank(choice), 1));
  ranks.resize(std::min(ranks.size(), std::max<std::size_t>(fit, 1)));
  std::sort(ranks.begin(), ranks.end());
  trace.show(ranks);
  for (const int rank : ranks) trace.add_rank(rank, choice, ledger);
  return trace.text();
}

}  // namespace moesim
