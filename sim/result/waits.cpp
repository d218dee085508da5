// All ways of a meeting are walked back together, the one that is furthest on first.
#include "sim/result/waits.h"

#include <algorithm>

namespace moesim {
namespace {

enum Cause { kContext, kExperts, kIngress, kTokens, kNoise, kHost, kPipeline };

Cause cause_of(TaskKind kind) {
  if (is_exchange(kind)) return kIngress;
  switch (kind) {
    case TaskKind::attention:
      return kContext;
    case TaskKind::expert_ffn:
    case TaskKind::expert_fetch:
      return kExperts;
    case TaskKind::host:
      return kHost;
    default:
      return kTokens;
  }
}

}  // namespace

// context: attention's time follows the context of a rank's requests. tokens: kernels whose time
// follows the number of its tokens.
const std::vector<std::string>& Waits::causes() {
  static const std::vector<std::string> names{"context", "experts", "ingress", "tokens",
                                              "noise",   "host",    "pipeline"};
  return names;
}

void Waits::add(const StepGraph& graph, const Timeline& timeline, const StepWalk& walk) {
  if (graph.tasks.empty()) return;
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (!walk.is_exchange(task)) continue;
    const RankRange among = graph.among(task);
    const bool hands_on = graph.tasks[task].kind == TaskKind::stage_send && graph.stage_ranks > 0;
    const int size = hands_on ? graph.stage_ranks : graph.group_ranks(task);
    for (int first = among.first; first < among.last; first += size)
      hands_on ? add_stage(graph, walk, task, first) : add_exchange(graph, walk, task, first);
  }
  add_end(graph, timeline, walk);
}

void Waits::add_exchange(const StepGraph& graph,
                         const StepWalk& walk,
                         std::size_t task,
                         int first) {
  Meeting meeting;
  meeting.layer = graph.tasks[task].layer;
  meeting.size = graph.group_ranks(task);
  meeting.late = walk.late({task, first});
  meeting.late_at = walk.before({task, meeting.late});
  meeting.ways.push_back({meeting.late_at, 0});
  for (int rank = first; rank < first + meeting.size; ++rank) {
    const double waited = walk.waited({task, rank});
    if (waited <= 0) continue;
    const double share = walk.exposed_wait({task, rank}) / waited;
    meeting.ways.push_back({walk.before({task, rank}), -share});
    meeting.ways.front().weight += share;
    delays_[static_cast<std::size_t>(meeting.late)].total += share * waited / meeting.size;
  }
  walk_back(graph, walk, std::move(meeting));
}

// Ranks of one stage wait for the last of them, and with it for the slowest stage.
void Waits::add_stage(const StepGraph& graph, const StepWalk& walk, std::size_t send, int first) {
  pipelined_ = true;
  Meeting meeting;
  meeting.size = graph.stage_ranks;
  meeting.late = first;
  for (int rank = first; rank < first + meeting.size; ++rank)
    if (walk.waited({send, rank}) < walk.waited({send, meeting.late})) meeting.late = rank;
  meeting.late_at = walk.before({send, meeting.late});
  meeting.ways.push_back({meeting.late_at, 0});
  const double for_others = walk.waited({send, meeting.late});
  Delay& slowest = delays_[static_cast<std::size_t>(walk.late({send, first}))];
  std::vector<double>& causes = layers_[meeting.layer];
  causes.resize(Waits::causes().size());
  for (int rank = first; rank < first + meeting.size; ++rank) {
    const double waited = walk.waited({send, rank});
    if (waited <= 0) continue;
    const double share = walk.exposed_wait({send, rank}) / waited;
    const double mean = share * for_others / graph.ranks;
    causes[kPipeline] += share * for_others;
    slowest.total += mean;
    slowest.by_kind[static_cast<std::size_t>(TaskKind::stage_send)] += mean;
    if (waited <= for_others) continue;
    meeting.ways.push_back({walk.before({send, rank}), -share});
    meeting.ways.front().weight += share;
    delays_[static_cast<std::size_t>(meeting.late)].total +=
        share * (waited - for_others) / meeting.size;
  }
  walk_back(graph, walk, std::move(meeting));
}

// The step ends for all when its last task does.
void Waits::add_end(const StepGraph& graph, const Timeline& timeline, const StepWalk& walk) {
  Meeting meeting;
  meeting.size = graph.ranks;
  meeting.late = walk.last().rank;
  meeting.late_at = walk.last();
  meeting.ways.push_back({meeting.late_at, 0});
  for (int rank = 0; rank < graph.ranks; ++rank) {
    const TaskAt last = walk.last_of(rank);
    const double waited = (timeline.makespan - timeline.at(last.task, rank).end).count();
    if (waited <= 0) continue;
    meeting.ways.push_back({last, -1});
    meeting.ways.front().weight += 1;
    delays_[static_cast<std::size_t>(meeting.late)].total += waited / meeting.size;
  }
  walk_back(graph, walk, std::move(meeting));
}

// Until all ways are one: the weights add up to nothing then.
void Waits::walk_back(const StepGraph& graph, const StepWalk& walk, Meeting meeting) {
  std::vector<Way>& ways = meeting.ways;
  const auto begun = [](const Way& way) { return way.at.task == kStepBegin; };
  while (true) {
    ways.erase(std::remove_if(ways.begin(), ways.end(), begun), ways.end());
    const bool one = std::all_of(ways.begin(), ways.end(),
                                 [&](const Way& way) { return way.at == ways.front().at; });
    if (ways.empty() || one) {
      double left = 0;
      for (const Way& way : ways) left += way.weight;
      // Some ways had begun with the step already: the rest of the others' is theirs alone.
      if (ways.empty() || std::abs(left) < 1e-9) return;
    }
    std::size_t furthest = 0;
    for (const Way& way : ways) furthest = std::max(furthest, way.at.task);
    take_part(graph, walk, furthest, meeting);
  }
}

// Task `task` of all ways that are there; they go on to what it waited for. Ways that meet are one
// from then on.
void Waits::take_part(const StepGraph& graph,
                      const StepWalk& walk,
                      std::size_t task,
                      Meeting& meeting) {
  const Task& one = graph.tasks[task];
  double seconds = 0, noise = 0, launch = 0;
  const bool of_late = meeting.late_at == TaskAt{task, meeting.late};
  const auto step_back = [&](TaskAt at) {
    if (walk.is_exchange(task)) at.rank = walk.late(at);
    return walk.before(at);
  };
  if (meeting.late_at.task == task) meeting.late_at = step_back(meeting.late_at);
  std::size_t kept = 0;
  for (Way way : meeting.ways) {
    if (way.at.task == task) {
      seconds += way.weight * walk.own_seconds(way.at);
      noise += way.weight * walk.noise_seconds(way.at);
      launch += way.weight * walk.launch_seconds(way.at);
      way.at = step_back(way.at);
    }
    if (kept > 0 && meeting.ways[kept - 1].at == way.at)
      meeting.ways[kept - 1].weight += way.weight;
    else
      meeting.ways[kept++] = way;
  }
  meeting.ways.resize(kept);
  std::vector<double>& causes = layers_[meeting.layer];
  causes.resize(Waits::causes().size());
  causes[cause_of(one.kind)] += seconds - noise - launch;
  causes[kNoise] += noise;
  causes[kHost] += launch;
  Delay& delay = delays_[static_cast<std::size_t>(meeting.late)];
  const double mean = seconds / meeting.size;
  delay.by_kind[static_cast<std::size_t>(one.kind)] += mean;
  if (one.kind == TaskKind::expert_ffn && of_late && mean > delay.worst_expert_delay) {
    delay.worst_expert_delay = mean;
    delay.worst_layer = one.layer;
  }
}

void Waits::fill(PointResult& result, double rank_steps) const {
  result.wait_causes = causes();
  if (!pipelined_) result.wait_causes.pop_back();
  for (const auto& [layer, seconds] : layers_) {
    WaitResult wait;
    wait.layer = layer;
    for (std::size_t cause = 0; cause < result.wait_causes.size(); ++cause)
      wait.by_cause.push_back(seconds[cause] / rank_steps);
    result.waits.push_back(std::move(wait));
  }
}

}  // namespace moesim
