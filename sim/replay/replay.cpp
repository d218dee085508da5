// Actors take the step's tasks in order on SimGrid; how the bytes of an exchange come to a rank is
// the fidelity's (arrivals.h). Formulas: docs/models.md, "All-to-all".
#include "sim/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "sim/replay/arrivals.h"
#include "sim/replay/step_graph_shape.h"
#include "sim/replay/streams.h"

namespace moesim {
namespace {

namespace s4u = engine::s4u;

std::vector<std::string> engine_arguments() {
  return {"moesim", "--log=root.thresh:warning",
          "--cfg=surf/precision:1e-12",  // s: times closer than this are one event
          // Not used; the default would leave its TCP factors to every later engine of the process.
          "--cfg=network/model:CM02",
#ifdef MOESIM_SANITIZE
          "--cfg=contexts/factory:thread", "--cfg=contexts/stack-size:128"
#else
          "--cfg=contexts/stack-size:64"  // KiB an actor
#endif
  };
}

std::vector<double> bandwidths(const Fabric& fabric) {  // B/s, by link
  std::vector<double> all;
  for (const Link& link : fabric.links) all.push_back(link.bandwidth.value);
  return all;
}

class Replay {
 public:
  Replay(const StepGraph& graph, const Cluster& cluster, const ReplayOptions& options);
  Timeline run();

 private:
  std::unique_ptr<Arrivals> make_arrivals();
  std::size_t ranks_of_actor() const;
  void run_ranks(std::size_t first);
  void run_exchange(std::size_t task, std::size_t first, std::span<double> time);
  double meet(const Turn& turn, std::size_t first, std::span<const double> time);
  void end_exchange(std::size_t task, std::size_t rank, double start, double ready);

  const Cluster& cluster_;
  const ReplayOptions& options_;
  std::optional<FabricPaths> own_paths_;
  StepRun run_;
  Streams streams_;
  std::unique_ptr<Arrivals> arrivals_;
  std::size_t of_actor_;                                   // ranks
  std::vector<std::vector<s4u::BarrierPtr>> all_started_;  // [grouping][group]
};

Replay::Replay(const StepGraph& graph, const Cluster& cluster, const ReplayOptions& options)
    : cluster_(cluster),
      options_(options),
      run_(graph, cluster),
      streams_(graph, run_.timeline),
      arrivals_(make_arrivals()),
      of_actor_(ranks_of_actor()) {}

std::unique_ptr<Arrivals> Replay::make_arrivals() {
  if (options_.fidelity == Fidelity::bound) return told_arrivals(run_);
  run_.timeline.drained.resize(run_.graph.exchanges.size() * run_.timeline.links);
  if (options_.fidelity != Fidelity::links)
    return flow_arrivals(run_, options_.fidelity == Fidelity::paths);
  const FabricPaths& paths =
      options_.paths != nullptr ? *options_.paths : own_paths_.emplace(cluster_.fabric);
  return link_arrivals(run_, paths, options_.every_link);
}

Timeline Replay::run() {
  std::vector<std::string> words = engine_arguments();
  std::vector<char*> arguments;  // the engine takes away those it knows
  arguments.reserve(words.size());
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  s4u::Engine engine(&count, arguments.data());
  run_.origin = s4u::Engine::get_clock();
  engine.add_model(std::make_shared<engine::LinkModel>(run_.transfers));
  const std::vector<s4u::Host*> hosts = engine::add_hosts(engine, run_.ranks());
  for (const GroupedRanks& grouping : run_.groupings) {
    all_started_.emplace_back();
    for (std::size_t first = 0; first < run_.ranks(); first += grouping.of_group)
      all_started_.back().push_back(s4u::Barrier::create(
          static_cast<unsigned>(std::max<std::size_t>(grouping.of_group / of_actor_, 1))));
  }
  for (std::size_t rank = 0; rank < run_.ranks() && !arrivals_->told(); ++rank)
    run_.awake.push_back(s4u::Semaphore::create(0));
  for (std::size_t first = 0; first < run_.ranks(); first += of_actor_)
    engine::add_actor(engine, fmt::format("rank {}", first), hosts[first],
                      [this, first] { run_ranks(first); });
  engine.run();
  all_started_.clear();  // the engine's own go before the engine
  run_.awake.clear();
  for (const Interval& one : run_.timeline.intervals)
    run_.timeline.makespan = std::max(run_.timeline.makespan, one.end);
  return std::move(run_.timeline);
}

// Ranks of one node share an actor where none ever waits in the midst of an exchange: they meet
// without the engine, whose events are most of what a replay costs. In every grouping they are
// whole groups, or part of one, and take part all or none.
std::size_t Replay::ranks_of_actor() const {
  if (!arrivals_->told()) return 1;
  std::size_t ranks = std::gcd(run_.ranks(), static_cast<std::size_t>(run_.fabric.ranks_per_node));
  for (const GroupedRanks& grouping : run_.groupings) {
    for (const int end : {grouping.among.first, grouping.among.last})
      ranks = std::gcd(ranks, static_cast<std::size_t>(end));
    if (grouping.of_group < ranks && ranks % grouping.of_group == 0) continue;
    ranks = std::gcd(ranks, grouping.of_group);
  }
  return ranks;
}

// The engine is asked to wait only where ranks meet: what lies between two exchanges is followed by
// the streams, without it.
void Replay::run_ranks(std::size_t first) {
  std::vector<double> time(of_actor_);
  for (std::size_t task = 0; task < run_.graph.tasks.size(); ++task) {
    if (run_.graph.tasks[task].exchange >= 0) {
      run_exchange(task, first, time);
      continue;
    }
    for (std::size_t i = 0; i < time.size(); ++i) streams_.finish_kernel(task, first + i);
  }
  double end = 0;
  for (std::size_t i = 0; i < time.size(); ++i) end = std::max(end, streams_.last_end(first + i));
  s4u::this_actor::sleep_until(run_.origin + end);
}

// `time` is room for the starts of one actor's ranks.
void Replay::run_exchange(std::size_t task, std::size_t first, std::span<double> time) {
  const Turn& turn = run_.turns[task];
  if (!run_.groupings[turn.grouping].among.has(static_cast<int>(first))) {
    for (std::size_t rank = first; rank < first + time.size(); ++rank)
      run_.ready(turn, rank) = Seconds(streams_.pass_exchange(task, rank));
    return;
  }
  const std::size_t together = std::min(turn.group_ranks, time.size());
  for (std::size_t i = 0; i < time.size(); ++i) time[i] = streams_.exchange_start(task, first + i);
  for (std::size_t i = 0; i < time.size(); i += together) {
    const double ready = meet(turn, first + i, time.subspan(i, together));
    for (std::size_t member = i; member < i + together; ++member)
      end_exchange(task, first + member, time[member], ready);
  }
}

// When all ranks of the group have started; those from `first` on start at `time`.
double Replay::meet(const Turn& turn, std::size_t first, std::span<const double> time) {
  const double last = *std::max_element(time.begin(), time.end());
  if (time.size() > 1 && turn.group_ranks == time.size()) return last;
  s4u::this_actor::sleep_until(run_.origin + last);
  for (std::size_t i = 0; i < time.size(); ++i) arrivals_->begin(turn, first + i);
  all_started_[turn.grouping][first / turn.group_ranks]->wait();
  return run_.now();
}

void Replay::end_exchange(std::size_t task, std::size_t rank, double start, double ready) {
  const Turn& turn = run_.turns[task];
  const Exchange& exchange = run_.exchange(turn);
  run_.ready(turn, rank) = Seconds(ready);
  const double arrived = arrivals_->await(turn, rank, ready);
  const double issued =
      (arrivals_->from_own_start() ? start : ready) + exchange.message_time[rank].count();
  const double alone = std::max(arrived, issued) + exchange.fixed.count() +
                       exchange.latency[rank].count() + exchange.copy_time[rank].count();
  streams_.end_exchange(task, rank, start, ready, alone);
}

}  // namespace

const std::vector<std::string>& fidelity_names() {
  static const std::vector<std::string> names{"bound", "links", "paths", "flows"};
  return names;
}

StepRun::StepRun(const StepGraph& step, const Cluster& cluster)
    : graph(step),
      fabric(cluster.fabric),
      transfers(bandwidths(cluster.fabric)),
      turns(step.tasks.size()) {
  timeline.ranks = step.ranks;
  timeline.links = fabric.links.size();
  timeline.intervals.resize(step.tasks.size() * ranks());
  timeline.ready.resize(step.exchanges.size() * ranks());
  std::map<std::tuple<std::size_t, int, int>, std::size_t> known;  // -> grouping
  std::vector<std::size_t> taken;                                  // turns, by grouping
  for (std::size_t task = 0; task < step.tasks.size(); ++task) {
    timeline.exchange_of.push_back(step.tasks[task].exchange);
    if (step.tasks[task].exchange < 0) continue;
    const auto of_group = static_cast<std::size_t>(step.group_ranks(task));
    const RankRange among = step.among(task);
    const auto [found, fresh] =
        known.try_emplace({of_group, among.first, among.last}, groupings.size());
    if (fresh) {
      groupings.push_back({of_group, among});
      taken.push_back(0);
    }
    const std::size_t grouping = found->second;
    turns[task] = {task, static_cast<std::size_t>(step.tasks[task].exchange), grouping,
                   taken[grouping]++, of_group};
  }
}

void StepRun::drained(std::size_t exchange, LinkId link, double time) {
  Seconds& latest = timeline.drained[exchange * timeline.links + index(link)];
  latest = std::max(latest, Seconds(time));
}

double reached_share(const Exchange& exchange, const Fabric& fabric, LinkId link) {
  return fabric.links[index(link)].tier == LinkTier::nvlink ? exchange.nvlink_efficiency
                                                            : exchange.nic_efficiency;
}

Seconds busy_time(const Exchange& exchange, const Fabric& fabric, LinkId link, Bytes bytes) {
  return bytes / fabric.links[index(link)].bandwidth / reached_share(exchange, fabric, link);
}

Seconds busy_time(const Exchange& exchange, const Fabric& fabric, LinkId link) {
  return busy_time(exchange, fabric, link, exchange.link_bytes[index(link)]);
}

std::string to_text(Fidelity fidelity) {
  return fidelity_names()[static_cast<std::size_t>(fidelity)];
}

Fidelity parse_fidelity(const std::string& text) {
  const auto& names = fidelity_names();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return static_cast<Fidelity>(found - names.begin());
  std::vector<std::string> valid = names;
  valid.emplace_back("auto");
  throw InputError("unknown fidelity \"" + text + "\"" + name_help(text, valid));
}

Timeline replay(const StepGraph& graph, const Cluster& cluster, const ReplayOptions& options) {
  check_step_graph(graph, cluster, options.fidelity);
  return Replay(graph, cluster, options).run();
}

}  // namespace moesim
