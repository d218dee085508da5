// One actor per rank runs the step's tasks in order on SimGrid; what an exchange costs a rank is
// either told to the engine as a delay (bound) or found by it from every flow (flows).
// Formulas: docs/models.md, "All-to-all".
#include "sim/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/replay/simgrid.h"
#include "sim/replay/step_graph_shape.h"

namespace moesim {
namespace {

namespace s4u = engine::s4u;

// SimGrid counts whole bytes; flows are counted in units of 2^-20 B, so that rounding one changes
// no time by a billionth.
constexpr double kUnitsPerByte = 1048576;

std::vector<std::string> engine_arguments(double precision) {
  return {"moesim",
          "--log=root.thresh:warning",
          "--cfg=network/model:CM02",  // fair sharing, no TCP factors
          "--cfg=network/crosstraffic:0",
#ifdef MOESIM_SANITIZE
          "--cfg=contexts/factory:thread",
#endif
          "--cfg=network/optim:Full",  // an all-to-all is one component: lazy updates cost more
          "--cfg=contexts/stack-size:128",
          fmt::format("--cfg=surf/precision:{}", precision)};
}

// The flows of one exchange that put bytes on a link, those of a source together.
struct FlowTable {
  std::vector<Flow> flows;
  std::vector<std::size_t> first;     // by source; flows first[s] .. first[s + 1]
  std::vector<std::size_t> incoming;  // how many, by destination

  FlowTable(const std::vector<Flow>& all, std::size_t ranks) : first(ranks + 1), incoming(ranks) {
    for (const Flow& flow : all) {
      if (flow.source != flow.destination && flow.bytes.value > 0) flows.push_back(flow);
    }
    std::stable_sort(flows.begin(), flows.end(),
                     [](const Flow& a, const Flow& b) { return a.source < b.source; });
    for (const Flow& flow : flows) {
      ++first[index(flow.source) + 1];
      ++incoming[index(flow.destination)];
    }
    for (std::size_t rank = 0; rank < ranks; ++rank) first[rank + 1] += first[rank];
  }
};

class Replay {
 public:
  Replay(const StepGraph& graph, const Fabric& fabric, Fidelity fidelity);
  Timeline run();

 private:
  double now() const { return s4u::Engine::get_clock() - origin_; }
  double timing_precision() const;
  void build_platform(s4u::Engine& engine);
  void run_rank(std::size_t rank);
  double run_exchange(std::size_t turn, std::size_t rank);
  void expect_flows(std::size_t turn, std::size_t rank);
  void send_flows(std::size_t turn, std::size_t rank);
  void await_flows(std::size_t turn, std::size_t rank);
  Interval& interval(std::size_t task, std::size_t rank) {
    return timeline_.intervals[task * ranks_ + rank];
  }

  const StepGraph& graph_;
  const Fabric& fabric_;
  const std::size_t ranks_;
  const bool flows_;
  std::vector<std::size_t> exchange_tasks_;  // by turn: the n-th exchange of every rank
  std::vector<FlowTable> tables_;            // by turn
  // A rank may start a turn while another still receives the one before, so neighbours differ.
  std::array<std::vector<s4u::Mailbox*>, 2> mailboxes_;             // [turn % 2][rank]
  std::array<std::vector<std::vector<s4u::CommPtr>>, 2> expected_;  // [turn % 2][rank]
  void* payload_ = this;  // the engine wants an address on both sides; nothing reads it
  s4u::BarrierPtr all_started_;
  double origin_ = 0;  // the engine's clock goes on from one replay of the process to the next
  Timeline timeline_;
};

Replay::Replay(const StepGraph& graph, const Fabric& fabric, Fidelity fidelity)
    : graph_(graph),
      fabric_(fabric),
      ranks_(static_cast<std::size_t>(graph.ranks)),
      flows_(fidelity == Fidelity::flows) {
  timeline_.ranks = graph.ranks;
  timeline_.intervals.resize(graph.tasks.size() * ranks_);
  timeline_.ready.resize(graph.tasks.size());
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (graph.tasks[task].exchange < 0) continue;
    exchange_tasks_.push_back(task);
    const auto exchange = static_cast<std::size_t>(graph.tasks[task].exchange);
    if (flows_) tables_.emplace_back(graph.exchanges[exchange].flows, ranks_);
  }
}

// Times closer than this are one event to the engine. 1e-12 s is exact; above some thousand flows
// at once it would run the solver after each of them, so there a millionth of the exchange will do.
double Replay::timing_precision() const {
  constexpr std::size_t kExactFlows = 5000;
  double precision = 1e-12;
  for (std::size_t turn = 0; turn < tables_.size(); ++turn) {
    if (tables_[turn].flows.size() <= kExactFlows) continue;
    const auto exchange = static_cast<std::size_t>(graph_.tasks[exchange_tasks_[turn]].exchange);
    precision = std::max(precision, graph_.exchanges[exchange].port_bound.count() * 1e-6);
  }
  return precision;
}

void Replay::build_platform(s4u::Engine& engine) {
  engine::FabricZone* zone = engine::make_zone(engine, fabric_);
  for (std::size_t link = 0; flows_ && link < fabric_.links.size(); ++link)
    zone->add_link_named("link " + std::to_string(link),
                         fabric_.links[link].bandwidth.value * kUnitsPerByte);
  for (std::size_t rank = 0; rank < ranks_; ++rank) {
    const std::string name = "rank " + std::to_string(rank);
    engine::add_actor(engine, name, zone->add_host_named(name), [this, rank] { run_rank(rank); });
  }
  zone->get_iface()->seal();
  all_started_ = s4u::Barrier::create(static_cast<unsigned>(ranks_));
  if (!flows_) return;
  for (std::size_t parity = 0; parity < 2; ++parity) {
    expected_[parity].resize(ranks_);
    for (std::size_t rank = 0; rank < ranks_; ++rank)
      mailboxes_[parity].push_back(s4u::Mailbox::by_name(fmt::format("{} {}", rank, parity)));
  }
}

Timeline Replay::run() {
  std::vector<std::string> words = engine_arguments(timing_precision());
  std::vector<char*> arguments;  // the engine takes away those it knows
  arguments.reserve(words.size());
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  s4u::Engine engine(&count, arguments.data());
  origin_ = s4u::Engine::get_clock();
  build_platform(engine);
  engine.run();
  all_started_ = nullptr;
  for (const Interval& one : timeline_.intervals)
    timeline_.makespan = std::max(timeline_.makespan, one.end);
  return std::move(timeline_);
}

// A rank asks the engine to wait only where ranks meet: the tasks between two exchanges are one
// sleep, their times within it a sum.
void Replay::run_rank(std::size_t rank) {
  double time = 0;
  std::size_t turn = 0;
  expect_flows(0, rank);
  for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
    if (graph_.tasks[task].exchange >= 0) {
      s4u::this_actor::sleep_until(origin_ + time);
      time = run_exchange(turn++, rank);
      continue;
    }
    const double end = time + graph_.tasks[task].by_rank[rank].count();
    interval(task, rank) = {Seconds(time), Seconds(end)};
    time = end;
  }
  s4u::this_actor::sleep_until(origin_ + time);
}

double Replay::run_exchange(std::size_t turn, std::size_t rank) {
  const std::size_t task = exchange_tasks_[turn];
  const Exchange& exchange =
      graph_.exchanges[static_cast<std::size_t>(graph_.tasks[task].exchange)];
  const double start = now();
  // No rank can start the next turn before all have passed this line, so receivers are always
  // ready.
  expect_flows(turn + 1, rank);
  send_flows(turn, rank);
  all_started_->wait();
  timeline_.ready[task] = Seconds(now());

  double end = exchange.fixed.count() + exchange.latency[rank].count();
  const double messages = exchange.message_time[rank].count();
  if (flows_) {
    await_flows(turn, rank);
    end += std::max(now(), start + messages);
  } else {
    end += now() + std::max(messages, exchange.transfer[rank].count() / exchange.efficiency);
  }
  interval(task, rank) = {Seconds(start), Seconds(end)};
  return end;
}

void Replay::expect_flows(std::size_t turn, std::size_t rank) {
  if (turn >= tables_.size()) return;
  std::vector<s4u::CommPtr>& expected = expected_[turn % 2][rank];
  for (std::size_t flow = 0; flow < tables_[turn].incoming[rank]; ++flow)
    expected.push_back(mailboxes_[turn % 2][rank]->get_async<void>(&payload_));
}

void Replay::send_flows(std::size_t turn, std::size_t rank) {
  if (turn >= tables_.size()) return;
  const FlowTable& table = tables_[turn];
  const auto exchange = static_cast<std::size_t>(graph_.tasks[exchange_tasks_[turn]].exchange);
  const double units = kUnitsPerByte / graph_.exchanges[exchange].efficiency;
  for (std::size_t i = table.first[rank]; i < table.first[rank + 1]; ++i) {
    const Flow& flow = table.flows[i];
    mailboxes_[turn % 2][index(flow.destination)]
        ->put_init(this, static_cast<std::uint64_t>(std::llround(flow.bytes.value * units)))
        ->detach();
  }
}

void Replay::await_flows(std::size_t turn, std::size_t rank) {
  std::vector<s4u::CommPtr>& expected = expected_[turn % 2][rank];
  for (const s4u::CommPtr& flow : expected) flow->wait();
  expected.clear();
}

}  // namespace

std::string to_text(Fidelity fidelity) { return fidelity == Fidelity::bound ? "bound" : "flows"; }

Fidelity parse_fidelity(const std::string& text) {
  if (text == "bound") return Fidelity::bound;
  if (text == "flows") return Fidelity::flows;
  const std::vector<std::string> valid{"bound", "flows"};
  throw InputError("unknown fidelity \"" + text + "\"" + name_help(text, valid));
}

Timeline replay(const StepGraph& graph, const Cluster& cluster, Fidelity fidelity) {
  check_step_graph(graph, cluster, fidelity);
  return Replay(graph, cluster.fabric, fidelity).run();
}

}  // namespace moesim
