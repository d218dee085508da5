// Accumulates steps: the critical path is walked from the step's end backwards, from each exchange
// to the rank of the group that entered it last, so its parts sum to the step time exactly.
#include "sim/result/measure.h"

#include <algorithm>
#include <numeric>

#include "sim/result/perfetto_timeline.h"

namespace moesim {
namespace {

std::size_t kind_index(TaskKind kind) { return static_cast<std::size_t>(kind); }

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
      seconds_by_kind_(kTaskKinds, 0.0),
      basis_by_kind_(kTaskKinds, Basis::exact),
      layers_(model.layers.size()),
      ranks_(static_cast<std::size_t>(cluster.ranks())),
      waits_(ranks_.size()),
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
  for (const MoeLayerLoad& load : graph.loads) fetched_ += load.fetched;
  for (const Task& task : graph.tasks) {
    Basis& basis = basis_by_kind_[kind_index(task.kind)];
    basis = weaker(basis, task.basis);
  }
  const std::vector<double> before = seconds_by_kind_;
  const StepWalk walk(graph, timeline);
  walk_critical_path(graph, walk);
  if (steps_of_window_ > 0) add_window(graph, (now != nullptr ? *now : cluster_).fabric, before);
  add_ranks(graph, timeline, walk);
  add_links(graph, (now != nullptr ? *now : cluster_).fabric);
  waits_.add(graph, timeline, walk);
  add_loads(graph);
  add_held_rows(graph);
  link_figures_.add(graph, timeline, now != nullptr ? *now : cluster_);
  if (!timeline_choice_ || !timeline_text_.empty()) return;
  timeline_text_ = perfetto_timeline(graph, timeline, (now != nullptr ? *now : cluster_).fabric,
                                     *timeline_ledger_, *timeline_choice_);
}

void Measurement::show_timeline(const TimelineChoice& choice, const MemoryLedger& ledger) {
  timeline_choice_ = choice;
  timeline_ledger_ = &ledger;
}

// `before`: seconds_by_kind_ as they were without this step.
void Measurement::add_window(const StepGraph& graph,
                             const Fabric& fabric,
                             const std::vector<double>& before) {
  WindowResult parts;
  for (std::size_t kind = 0; kind < kTaskKinds; ++kind) {
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

void Measurement::walk_critical_path(const StepGraph& graph, const StepWalk& walk) {
  if (graph.tasks.empty()) return;
  for (TaskAt at = walk.last(); at.task != kStepBegin; at = walk.before(at)) {
    const Task& task = graph.tasks[at.task];
    const double seconds = walk.own_seconds(at);
    const double launch = walk.launch_seconds(at);
    seconds_by_kind_[kind_index(task.kind)] += seconds - launch;
    seconds_by_kind_[kind_index(TaskKind::host)] += launch;
    if (task.layer >= 0)
      layer_part(layers_[static_cast<std::size_t>(task.layer)], task.kind) += seconds;
    if (!walk.is_exchange(at.task)) continue;
    exchange_seconds_ += seconds;
    at.rank = walk.late(at);
  }
}

void Measurement::add_ranks(const StepGraph& graph,
                            const Timeline& timeline,
                            const StepWalk& walk) {
  for (int rank = 0; rank < timeline.ranks; ++rank) {
    RankResult& result = ranks_[static_cast<std::size_t>(rank)];
    for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
      const TaskAt at{task, rank};
      const double seconds = walk.own_seconds(at);
      if (!walk.is_exchange(task)) {
        result.compute += seconds;
        continue;
      }
      const Exchange& exchange =
          graph.exchanges[static_cast<std::size_t>(graph.tasks[task].exchange)];
      const double exposed = walk.exposed_own(at);
      result.exchange += exposed;
      result.hidden += seconds - exposed;
      result.wait += walk.exposed_wait(at);
      result.sent += exchange.sent[static_cast<std::size_t>(rank)].value;
      result.received += exchange.received[static_cast<std::size_t>(rank)].value;
    }
    if (!graph.tasks.empty())
      result.wait += (timeline.makespan - timeline.at(walk.last_of(rank).task, rank).end).count();
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

void Measurement::add_loads(const StepGraph& graph) {
  for (const MoeLayerLoad& load : graph.loads) {
    const std::size_t layer = load.moe_layer;
    if (rank_load_.size() <= layer) {
      rank_load_.resize(layer + 1);
      moe_layer_ids_.resize(layer + 1);
      first_holder_.resize(layer + 1);
    }
    moe_layer_ids_[layer] = load.layer;
    const auto trace_layer = static_cast<std::size_t>(load.trace_layer);
    if (expert_load_.size() <= trace_layer) expert_load_.resize(trace_layer + 1);
    auto& experts = expert_load_[trace_layer];
    if (experts.size() < load.by_expert.size()) experts.resize(load.by_expert.size());
    // A traced layer that stands for several model layers is counted once.
    if (trace_layer == layer) {
      for (std::size_t e = 0; e < load.by_expert.size(); ++e) experts[e] += load.by_expert[e];
    }
    first_holder_[layer] = load.held_by.first;
    const std::span<const std::uint32_t> held = load.of_holders();
    rank_load_[layer].resize(held.size());
    for (std::size_t r = 0; r < held.size(); ++r) {
      rank_load_[layer][r] += held[r];
      ranks_[static_cast<std::size_t>(load.held_by.first) + r].copies += held[r];
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
    layer.straggler = first_holder_[i] + static_cast<int>(most - rank_load_[i].begin());
    layer.balancedness =
        *most == 0 ? 1
                   : sum / static_cast<double>(rank_load_[i].size()) / static_cast<double>(*most);
  }
  result.ranks_detail = ranks_;
  for (RankResult& rank : result.ranks_detail) {
    for (double* sum :
         {&rank.compute, &rank.exchange, &rank.wait, &rank.hidden, &rank.sent, &rank.received})
      *sum /= steps_;
    rank.copies /= static_cast<std::uint64_t>(steps_);
  }
  result.expert_load = expert_load_;
  waits_.fill(result, static_cast<double>(ranks_.size()) * steps_);
  fill_straggler(result);
  fill_links(result);
  link_figures_.fill(result);
  result.windows = window_figures_.results();
}

}  // namespace moesim
