// One actor per rank runs the step's tasks in order on SimGrid; what an exchange costs a rank is
// either told to the engine as a delay (bound) or found by it from every flow (flows).
// Formulas: docs/models.md, "All-to-all".
#include "sim/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

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

// The exchanges between groups of one size. A group's ranks go through them in the same order, so
// its barrier and its mailboxes serve one after another.
struct Grouping {
  std::size_t ranks = 0;                     // of a group
  std::vector<std::size_t> tasks;            // by turn: the n-th exchange of every rank
  std::vector<FlowTable> tables;             // by turn; flows only
  std::vector<s4u::BarrierPtr> all_started;  // by group
  // A rank may start a turn while another still receives the one before, so neighbours differ.
  std::array<std::vector<s4u::Mailbox*>, 2> mailboxes;             // [turn % 2][rank]
  std::array<std::vector<std::vector<s4u::CommPtr>>, 2> expected;  // [turn % 2][rank]
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
  double run_exchange(std::size_t task, std::size_t rank);
  double reached_share(const Exchange& exchange, const Flow& flow) const;
  void expect_flows(Grouping& grouping, std::size_t turn, std::size_t rank);
  void send_flows(const Grouping& grouping, std::size_t turn, std::size_t rank);
  void await_flows(Grouping& grouping, std::size_t turn, std::size_t rank);
  const Exchange& exchange_of(std::size_t task) const {
    return graph_.exchanges[static_cast<std::size_t>(graph_.tasks[task].exchange)];
  }
  Interval& interval(std::size_t task, std::size_t rank) {
    return timeline_.intervals[task * ranks_ + rank];
  }

  const StepGraph& graph_;
  const Fabric& fabric_;
  const std::size_t ranks_;
  const bool flows_;
  std::map<int, Grouping> groupings_;  // by ranks of a group
  std::vector<std::size_t> turns_;     // by task: of an exchange, its turn in its grouping
  void* payload_ = this;  // the engine wants an address on both sides; nothing reads it
  double origin_ = 0;     // the engine's clock goes on from one replay of the process to the next
  Timeline timeline_;
};

Replay::Replay(const StepGraph& graph, const Fabric& fabric, Fidelity fidelity)
    : graph_(graph),
      fabric_(fabric),
      ranks_(static_cast<std::size_t>(graph.ranks)),
      flows_(fidelity == Fidelity::flows) {
  timeline_.ranks = graph.ranks;
  timeline_.intervals.resize(graph.tasks.size() * ranks_);
  timeline_.ready.resize(graph.tasks.size() * ranks_);
  turns_.resize(graph.tasks.size());
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (graph.tasks[task].exchange < 0) continue;
    Grouping& grouping = groupings_[graph.group_ranks(task)];
    grouping.ranks = static_cast<std::size_t>(graph.group_ranks(task));
    turns_[task] = grouping.tasks.size();
    grouping.tasks.push_back(task);
    if (flows_) grouping.tables.emplace_back(exchange_of(task).flows, ranks_);
  }
}

// Times closer than this are one event to the engine. 1e-12 s is exact; above some thousand flows
// at once it would run the solver after each of them, so there a millionth of the exchange will do.
double Replay::timing_precision() const {
  constexpr std::size_t kExactFlows = 5000;
  double precision = 1e-12;
  for (const auto& [ranks, grouping] : groupings_) {
    for (std::size_t turn = 0; turn < grouping.tables.size(); ++turn) {
      if (grouping.tables[turn].flows.size() <= kExactFlows) continue;
      precision = std::max(precision, exchange_of(grouping.tasks[turn]).port_bound.count() * 1e-6);
    }
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
  for (auto& [ranks, grouping] : groupings_) {
    for (std::size_t first = 0; first < ranks_; first += grouping.ranks)
      grouping.all_started.push_back(s4u::Barrier::create(static_cast<unsigned>(ranks)));
    for (std::size_t parity = 0; flows_ && parity < 2; ++parity) {
      grouping.expected[parity].resize(ranks_);
      for (std::size_t rank = 0; rank < ranks_; ++rank)
        grouping.mailboxes[parity].push_back(
            s4u::Mailbox::by_name(fmt::format("{} {} of {}", rank, parity, ranks)));
    }
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
  groupings_.clear();  // the engine's barriers go before the engine
  for (const Interval& one : timeline_.intervals)
    timeline_.makespan = std::max(timeline_.makespan, one.end);
  return std::move(timeline_);
}

// A rank asks the engine to wait only where ranks meet: the tasks between two exchanges are one
// sleep, their times within it a sum.
void Replay::run_rank(std::size_t rank) {
  double time = 0;
  for (auto& [ranks, grouping] : groupings_) expect_flows(grouping, 0, rank);
  for (std::size_t task = 0; task < graph_.tasks.size(); ++task) {
    if (graph_.tasks[task].exchange >= 0) {
      s4u::this_actor::sleep_until(origin_ + time);
      time = run_exchange(task, rank);
      continue;
    }
    const double end = time + graph_.tasks[task].by_rank[rank].count();
    interval(task, rank) = {Seconds(time), Seconds(end)};
    time = end;
  }
  s4u::this_actor::sleep_until(origin_ + time);
}

double Replay::run_exchange(std::size_t task, std::size_t rank) {
  Grouping& grouping = groupings_.at(graph_.group_ranks(task));
  const std::size_t turn = turns_[task];
  const Exchange& exchange = exchange_of(task);
  const double start = now();
  // Who sends to this rank in the next turn of the grouping is of its group and cannot start that
  // turn before the whole group has passed this line, so receivers are always ready, and what two
  // turns ago came through the same mailbox is here. Other groups may be any number of turns apart:
  // they use none of the group's mailboxes. Nor do exchanges of another grouping in between.
  expect_flows(grouping, turn + 1, rank);
  send_flows(grouping, turn, rank);
  grouping.all_started[rank / grouping.ranks]->wait();
  timeline_.ready[task * ranks_ + rank] = Seconds(now());

  double end =
      exchange.fixed.count() + exchange.latency[rank].count() + exchange.copy_time[rank].count();
  const double messages = exchange.message_time[rank].count();
  if (flows_) {
    await_flows(grouping, turn, rank);
    end += std::max(now(), start + messages);
  } else {
    end += now() + std::max(messages, exchange.transfer[rank].count());
  }
  interval(task, rank) = {Seconds(start), Seconds(end)};
  return end;
}

void Replay::expect_flows(Grouping& grouping, std::size_t turn, std::size_t rank) {
  if (turn >= grouping.tables.size()) return;
  std::vector<s4u::CommPtr>& expected = grouping.expected[turn % 2][rank];
  for (std::size_t flow = 0; flow < grouping.tables[turn].incoming[rank]; ++flow)
    expected.push_back(grouping.mailboxes[turn % 2][rank]->get_async<void>(&payload_));
}

void Replay::send_flows(const Grouping& grouping, std::size_t turn, std::size_t rank) {
  if (turn >= grouping.tables.size()) return;
  const FlowTable& table = grouping.tables[turn];
  const Exchange& exchange = exchange_of(grouping.tasks[turn]);
  for (std::size_t i = table.first[rank]; i < table.first[rank + 1]; ++i) {
    const Flow& flow = table.flows[i];
    grouping.mailboxes[turn % 2][index(flow.destination)]
        ->put_init(this, static_cast<std::uint64_t>(std::llround(flow.bytes.value * kUnitsPerByte /
                                                                 reached_share(exchange, flow))))
        ->detach();
  }
}

// Of the line rate of the links it takes: those of the scale-out network decide, where a path goes
// on over NVLink to a GPU whose NIC is lost.
double Replay::reached_share(const Exchange& exchange, const Flow& flow) const {
  std::vector<LinkId> path;
  fabric_.route(flow.source, flow.destination, 0, path);
  const bool nvlink = std::all_of(path.begin(), path.end(), [&](LinkId link) {
    return fabric_.links[index(link)].tier == LinkTier::nvlink;
  });
  return nvlink ? exchange.nvlink_efficiency : exchange.nic_efficiency;
}

void Replay::await_flows(Grouping& grouping, std::size_t turn, std::size_t rank) {
  std::vector<s4u::CommPtr>& expected = grouping.expected[turn % 2][rank];
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
