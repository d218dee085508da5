// Accumulates steps: the critical path is walked from the step's end backwards, from each exchange
// to the rank of the group that entered it last, so its parts sum to the step time exactly.
#include "sim/result/measure.h"

#include <algorithm>
#include <numeric>

namespace moesim {
namespace {

constexpr std::size_t kKinds = static_cast<std::size_t>(TaskKind::head) + 1;

std::size_t kind_index(TaskKind kind) { return static_cast<std::size_t>(kind); }

// The one of ranks first .. last - 1 that entered the exchange last; the lowest on ties.
int last_to_start(const Timeline& timeline, std::size_t task, int first, int last) {
  int late = first;
  for (int rank = first + 1; rank < last; ++rank) {
    if (timeline.at(task, rank).start > timeline.at(task, late).start) late = rank;
  }
  return late;
}

// Time of a task itself, without waiting for others.
double own_seconds(const StepGraph& graph, const Timeline& timeline, std::size_t task, int rank) {
  const Interval& interval = timeline.at(task, rank);
  const bool exchange = is_exchange(graph.tasks[task].kind);
  return (interval.end - (exchange ? timeline.ready_at(task, rank) : interval.start)).count();
}

double& layer_part(LayerResult& layer, TaskKind kind) {
  switch (kind) {
    case TaskKind::attention:
      return layer.attention;
    case TaskKind::dispatch:
      return layer.dispatch;
    case TaskKind::expert_ffn:
      return layer.expert_ffn;
    case TaskKind::combine:
      return layer.combine;
    default:
      return layer.other;
  }
}

}  // namespace

Measurement::Measurement(const Cluster& cluster, const MoeModel& model, const ShardingPlan& plan)
    : cluster_(cluster),
      model_(model),
      plan_(plan),
      seconds_by_kind_(kKinds, 0.0),
      basis_by_kind_(kKinds, Basis::exact),
      layers_(model.layers.size()),
      ranks_(static_cast<std::size_t>(cluster.ranks())),
      delays_(ranks_.size(), Delay{std::vector<double>(kKinds, 0.0)}),
      link_bytes_(cluster.fabric.links.size(), 0.0),
      link_busy_(cluster.fabric.links.size(), 0.0),
      link_figures_(cluster, plan) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].layer = static_cast<int>(i);
    layers_[i].moe = model.layers[i].ffn == FfnKind::moe;
  }
}

void Measurement::add(const StepGraph& graph, const Timeline& timeline, const Cluster* now) {
  ++steps_;
  step_seconds_ += timeline.makespan.count();
  tokens_ += graph.tokens;
  for (const Task& task : graph.tasks) {
    Basis& basis = basis_by_kind_[kind_index(task.kind)];
    basis = weaker(basis, task.basis);
  }
  const std::vector<double> before = seconds_by_kind_;
  walk_critical_path(graph, timeline);
  if (steps_of_window_ > 0) add_window(graph, (now != nullptr ? *now : cluster_).fabric, before);
  add_ranks(graph, timeline);
  add_links(graph, (now != nullptr ? *now : cluster_).fabric);
  add_delays(graph, timeline);
  add_loads(graph);
  add_held_rows(graph);
  link_figures_.add(graph, timeline, now != nullptr ? *now : cluster_);
}

// `before`: seconds_by_kind_ as they were without this step.
void Measurement::add_window(const StepGraph& graph,
                             const Fabric& fabric,
                             const std::vector<double>& before) {
  WindowResult parts;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    LayerResult step;  // the parts that layers are told apart by, too
    layer_part(step, static_cast<TaskKind>(kind)) = seconds_by_kind_[kind] - before[kind];
    parts.dispatch += step.dispatch;
    parts.expert_ffn += step.expert_ffn;
    parts.combine += step.combine;
    parts.other += step.attention + step.other;
  }
  parts.step_time = parts.dispatch + parts.expert_ffn + parts.combine + parts.other;
  window_figures_.add(graph, fabric, parts, (steps_ - 1) / steps_of_window_);
}

void Measurement::walk_critical_path(const StepGraph& graph, const Timeline& timeline) {
  if (graph.tasks.empty()) return;
  const std::size_t last = graph.tasks.size() - 1;
  int rank = 0;
  for (int other = 1; other < timeline.ranks; ++other) {
    if (timeline.at(last, other).end > timeline.at(last, rank).end) rank = other;
  }
  for (std::size_t i = graph.tasks.size(); i-- > 0;) {
    const Task& task = graph.tasks[i];
    const bool exchange = is_exchange(task.kind);
    const double seconds = own_seconds(graph, timeline, i, rank);
    seconds_by_kind_[kind_index(task.kind)] += seconds;
    if (exchange) exchange_seconds_ += seconds;
    if (task.layer >= 0)
      layer_part(layers_[static_cast<std::size_t>(task.layer)], task.kind) += seconds;
    if (!exchange) continue;
    const int size = graph.group_ranks(i), first = rank / size * size;
    rank = last_to_start(timeline, i, first, first + size);
  }
}

void Measurement::add_ranks(const StepGraph& graph, const Timeline& timeline) {
  for (int rank = 0; rank < timeline.ranks; ++rank) {
    RankResult& result = ranks_[static_cast<std::size_t>(rank)];
    for (std::size_t i = 0; i < graph.tasks.size(); ++i) {
      const double seconds = own_seconds(graph, timeline, i, rank);
      if (!is_exchange(graph.tasks[i].kind)) {
        result.compute += seconds;
        continue;
      }
      const Exchange& exchange = graph.exchanges[static_cast<std::size_t>(graph.tasks[i].exchange)];
      result.exchange += seconds;
      result.wait += (timeline.ready_at(i, rank) - timeline.at(i, rank).start).count();
      result.sent += exchange.sent[static_cast<std::size_t>(rank)].value;
      result.received += exchange.received[static_cast<std::size_t>(rank)].value;
    }
    if (!graph.tasks.empty())
      result.wait += (timeline.makespan - timeline.at(graph.tasks.size() - 1, rank).end).count();
  }
}

void Measurement::add_links(const StepGraph& graph, const Fabric& fabric) {
  for (const Exchange& exchange : graph.exchanges) {
    for (std::size_t link = 0; link < link_bytes_.size(); ++link) {
      if (exchange.link_bytes[link].value == 0) continue;
      link_bytes_[link] += exchange.link_bytes[link].value;
      link_busy_[link] += (exchange.link_bytes[link] / fabric.links[link].bandwidth).count();
    }
  }
}

// What buffers really have to hold: rows that arrive and rows that stay.
void Measurement::add_held_rows(const StepGraph& graph) {
  for (const Task& task : graph.tasks) {
    if (task.kind != TaskKind::dispatch && task.kind != TaskKind::combine) continue;
    const Exchange& exchange = graph.exchanges[static_cast<std::size_t>(task.exchange)];
    double& largest = task.kind == TaskKind::dispatch ? dispatched_ : combined_;
    for (std::size_t rank = 0; rank < exchange.received.size(); ++rank)
      largest = std::max(largest, (exchange.received[rank] + exchange.kept[rank]).value);
  }
}

void Measurement::add_delays(const StepGraph& graph, const Timeline& timeline) {
  std::vector<std::vector<int>> late(graph.tasks.size());
  for (std::size_t i = 0; i < graph.tasks.size(); ++i) {
    if (!is_exchange(graph.tasks[i].kind)) continue;
    const int size = graph.group_ranks(i);
    for (int first = 0; first < graph.ranks; first += size) {
      late[i].insert(late[i].end(), static_cast<std::size_t>(size),
                     last_to_start(timeline, i, first, first + size));
      add_delay(graph, timeline, late, i, first);
    }
  }
}

// The rank of a group that enters an exchange late owes it to what took its critical path longer
// than the group's mean, back to where the critical paths of all the group's ranks meet: at the
// last exchange, where that was between the same ranks or more.
void Measurement::add_delay(const StepGraph& graph,
                            const Timeline& timeline,
                            const std::vector<std::vector<int>>& late,
                            std::size_t task,
                            int first) {
  const auto size = static_cast<std::size_t>(graph.group_ranks(task));
  const int last = late[task][static_cast<std::size_t>(first)];
  const auto member = static_cast<std::size_t>(last - first);
  Delay& delay = delays_[static_cast<std::size_t>(last)];
  std::vector<int> path(size);  // of each rank of the group: the rank its critical path is on
  std::iota(path.begin(), path.end(), first);
  double waited = 0;
  for (const int rank : path)
    waited += (timeline.ready_at(task, rank) - timeline.at(task, rank).start).count();
  delay.total += waited / static_cast<double>(size);
  for (std::size_t t = task; t-- > 0;) {
    const TaskKind kind = graph.tasks[t].kind;
    double mean = 0;
    for (const int rank : path)
      mean += own_seconds(graph, timeline, t, rank) / static_cast<double>(size);
    const double excess = own_seconds(graph, timeline, t, path[member]) - mean;
    delay.by_kind[kind_index(kind)] += excess;
    if (kind == TaskKind::expert_ffn && path[member] == last && excess > delay.worst_expert_delay) {
      delay.worst_expert_delay = excess;
      delay.worst_layer = graph.tasks[t].layer;
    }
    if (!is_exchange(kind)) continue;
    for (int& rank : path) rank = late[t][static_cast<std::size_t>(rank)];
    if (std::all_of(path.begin(), path.end(), [&](int rank) { return rank == path[0]; })) return;
  }
}

void Measurement::add_loads(const StepGraph& graph) {
  if (rank_load_.empty()) {
    rank_load_.resize(graph.loads.size());
    for (const MoeLayerLoad& load : graph.loads) moe_layer_ids_.push_back(load.layer);
  }
  for (std::size_t i = 0; i < graph.loads.size(); ++i) {
    const MoeLayerLoad& load = graph.loads[i];
    const auto trace_layer = static_cast<std::size_t>(load.trace_layer);
    if (expert_load_.size() <= trace_layer) expert_load_.resize(trace_layer + 1);
    auto& experts = expert_load_[trace_layer];
    if (experts.size() < load.by_expert.size()) experts.resize(load.by_expert.size());
    if (trace_layer == i) {  // a traced layer that stands for several model layers is counted once
      for (std::size_t e = 0; e < load.by_expert.size(); ++e) experts[e] += load.by_expert[e];
    }
    rank_load_[i].resize(load.by_rank.size());
    for (std::size_t r = 0; r < load.by_rank.size(); ++r) {
      rank_load_[i][r] += load.by_rank[r];
      ranks_[r].copies += load.by_rank[r];
    }
  }
}

void Measurement::fill(PointResult& result) const {
  result.steps = steps_;
  fill_metrics(result);
  if (dispatched_ + combined_ > 0) {
    result.metrics.push_back(
        {"buffers_used",
         "most rows a rank has of a dispatch and of a combine; buffers are allocated for the worst "
         "case",
         metric_of(dispatched_ + combined_, "B", Basis::exact)});
  }
  result.layers = layers_;
  for (LayerResult& layer : result.layers) {
    for (double* part :
         {&layer.attention, &layer.dispatch, &layer.expert_ffn, &layer.combine, &layer.other}) {
      *part /= steps_;
    }
  }
  for (std::size_t i = 0; i < rank_load_.size(); ++i) {
    LayerResult& layer = result.layers[static_cast<std::size_t>(moe_layer_ids_[i])];
    const auto most = std::max_element(rank_load_[i].begin(), rank_load_[i].end());
    const double sum = std::accumulate(rank_load_[i].begin(), rank_load_[i].end(), 0.0);
    layer.straggler = static_cast<int>(most - rank_load_[i].begin());
    layer.balancedness =
        *most == 0 ? 1
                   : sum / static_cast<double>(rank_load_[i].size()) / static_cast<double>(*most);
  }
  result.ranks_detail = ranks_;
  for (RankResult& rank : result.ranks_detail) {
    for (double* sum : {&rank.compute, &rank.exchange, &rank.wait, &rank.sent, &rank.received})
      *sum /= steps_;
    rank.copies /= static_cast<std::uint64_t>(steps_);
  }
  result.expert_load = expert_load_;
  fill_straggler(result);
  fill_links(result);
  link_figures_.fill(result);
  result.windows = window_figures_.results();
}

}  // namespace moesim
