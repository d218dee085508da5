// The laws every replay must keep. They use the step, the times and the fabric's links, never the
// code that made them.
#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <numeric>

#include "sim/replay/broken_law.h"
#include "sim/replay/check_streams.h"
#include "sim/replay/replay.h"
#include "sim/replay/step_graph_shape.h"

namespace moesim {
namespace {

constexpr double kTolerance = 1e-9;  // relative: sums of doubles in different orders

struct Wire {
  std::size_t from, to, link;
};

struct Checked {
  const StepGraph& graph;
  const Timeline& timeline;
  const Fabric& fabric;
  std::vector<Wire> wires;

  std::size_t ranks() const { return static_cast<std::size_t>(graph.ranks); }
  const Exchange& exchange(std::size_t task) const {
    return graph.exchanges[static_cast<std::size_t>(graph.tasks[task].exchange)];
  }
  // Whether the device is a GPU that passes on what is not its own.
  bool passes_on(std::size_t device) const {
    return device < fabric.passes_on.size() && fabric.passes_on[device] != 0;
  }
  std::string name(std::size_t task) const { return task_name(graph, task); }
};

bool equal(double a, double b, double scale) {
  return std::abs(a - b) <= kTolerance * std::max(scale, 1e-300);
}

double sum(const std::vector<Bytes>& amounts) {
  return std::accumulate(amounts.begin(), amounts.end(), Bytes{}).value;
}

void check_bytes(const Checked& step, std::size_t task) {
  const Exchange& exchange = step.exchange(task);
  const double sent = sum(exchange.sent), received = sum(exchange.received);
  if (!equal(sent, received, sent))
    broken(step.name(task), fmt::format("{} B sent but {} B received", sent, received));
}

// What a layer's experts compute on a rank was dispatched to it, and is what it sends back.
// Returns whether the exchange moves a row for each copy, so that this can be said of it.
bool check_copies_moved(const Checked& step, std::size_t task) {
  const TaskKind kind = step.graph.tasks[task].kind;
  const Exchange& exchange = step.exchange(task);
  const Task& moving = step.graph.tasks[task];
  const auto load =
      std::find_if(step.graph.loads.begin(), step.graph.loads.end(), [&](const MoeLayerLoad& one) {
        return one.layer == moving.layer && one.micro_batch == moving.micro_batch;
      });
  if ((kind != TaskKind::dispatch && kind != TaskKind::combine) || exchange.bytes_per_copy == 0 ||
      load == step.graph.loads.end())
    return false;
  const auto& moved = kind == TaskKind::dispatch ? exchange.received : exchange.sent;
  for (std::size_t rank = 0; rank < step.ranks(); ++rank) {
    const double bytes = (moved[rank] + exchange.kept[rank]).value;
    const double computed = load->by_rank[rank] * exchange.bytes_per_copy;
    if (!equal(bytes, computed, computed))
      broken(step.name(task), fmt::format("rank {} computes {} token copies, {} B of rows, but "
                                          "{} B are its own or moved",
                                          rank, load->by_rank[rank], computed, bytes));
  }
  return true;
}

// A GPU's cables carry what it sends and receives, and as much out as in of what it passes on; a
// switch passes on all it gets.
void check_devices(const Checked& step, std::size_t task) {
  const Exchange& exchange = step.exchange(task);
  std::vector<double> in(boost::num_vertices(step.fabric.graph)), out(in.size());
  for (const Wire& wire : step.wires) {
    out[wire.from] += exchange.link_bytes[wire.link].value;
    in[wire.to] += exchange.link_bytes[wire.link].value;
  }
  const double scale = sum(exchange.sent);
  const auto ranks = static_cast<std::size_t>(step.fabric.ranks);
  for (std::size_t device = 0; device < in.size(); ++device) {
    const bool sends = device < step.ranks();
    const double own_in = sends ? exchange.received[device].value : 0;
    const double passed = step.passes_on(device) ? std::max(in[device] - own_in, 0.0) : 0;
    const double expected_out =
        device >= ranks ? in[device] : (sends ? exchange.sent[device].value : 0) + passed;
    const double expected_in = device >= ranks ? in[device] : own_in + passed;
    if (!equal(out[device], expected_out, scale) || !equal(in[device], expected_in, scale))
      broken(step.name(task),
             fmt::format("{}: links carry {} B out and {} B in, expected {} and {}",
                         step.fabric.graph[device].name, out[device], in[device], expected_out,
                         expected_in));
  }
}

void check_flows(const Checked& step, std::size_t task) {
  const Exchange& exchange = step.exchange(task);
  std::vector<double> carried(step.fabric.links.size()), sent(step.ranks());
  std::vector<LinkId> path;
  for (const Flow& flow : exchange.flows) {
    if (flow.source == flow.destination) continue;
    path.clear();
    step.fabric.route(flow.source, flow.destination, 0, path);
    for (const LinkId link : path) carried[index(link)] += flow.bytes.value;
    sent[index(flow.source)] += flow.bytes.value;
  }
  const double scale = sum(exchange.sent);
  for (std::size_t rank = 0; rank < sent.size(); ++rank) {
    if (!equal(sent[rank], exchange.sent[rank].value, scale))
      broken(step.name(task), fmt::format("flows of rank {} carry {} B, it sends {} B", rank,
                                          sent[rank], exchange.sent[rank].value));
  }
  for (std::size_t link = 0; link < carried.size(); ++link) {
    if (!equal(carried[link], exchange.link_bytes[link].value, scale))
      broken(step.name(task),
             fmt::format("flows put {} B on link \"{}\", its load says {} B", carried[link],
                         step.fabric.links[link].name, exchange.link_bytes[link].value));
  }
}

// First start and last end of an exchange on ranks first .. last - 1.
Interval span_of(const Checked& step, std::size_t task, int first, int last) {
  Interval span = step.timeline.at(task, first);
  for (int rank = first; rank < last; ++rank) {
    span.start = std::min(span.start, step.timeline.at(task, rank).start);
    span.end = std::max(span.end, step.timeline.at(task, rank).end);
  }
  return span;
}

// All bytes of a group's exchange move between its first start and its last end, those into a rank
// before the rank's own. What groups share carries bytes while any group exchanges.
void check_rates(const Checked& step, std::size_t task) {
  const Exchange& exchange = step.exchange(task);
  const int size = step.graph.group_ranks(task);
  const RankRange among = step.graph.among(task);
  const Interval all = span_of(step, task, among.first, among.last);
  std::vector<Interval> groups;
  for (int first = among.first; first < among.last; first += size)
    groups.push_back(span_of(step, task, first, first + size));
  const auto at_least = [&](const Interval& span, Seconds least, const std::string& what) {
    const double took = (span.end - span.start).count();
    if (took < least.count() * (1 - kTolerance) - kTolerance * span.end.count())
      broken(step.name(task),
             fmt::format("took {} s, but {} needs {} s", took, what, least.count()));
  };
  at_least(all, exchange.port_bound, "its busiest port");
  at_least(all, exchange.bisection_bound, "the bisection");
  const auto group_of = [&](std::size_t rank) {
    return (rank - static_cast<std::size_t>(among.first)) / static_cast<std::size_t>(size);
  };
  for (const Wire& wire : step.wires) {
    if (exchange.link_bytes[wire.link].value == 0) continue;
    const Link& link = step.fabric.links[wire.link];
    Interval span = all;
    // What is passed on belongs to no one rank's or group's exchange.
    const bool shared = step.passes_on(wire.from) || step.passes_on(wire.to);
    if (!shared && wire.from < step.ranks()) span = groups.at(group_of(wire.from));
    if (!shared && wire.to < step.ranks()) {
      span.start = groups.at(group_of(wire.to)).start;
      span.end = step.timeline.at(task, static_cast<int>(wire.to)).end;
    }
    at_least(span, exchange.link_bytes[wire.link] / link.bandwidth, "link \"" + link.name + "\"");
  }
}

void check_ready(const Checked& step, std::size_t task) {
  const double slack = kTolerance * step.timeline.makespan.count();
  const int size = step.graph.group_ranks(task);
  const RankRange among = step.graph.among(task);
  for (int first = among.first; first < among.last; first += size) {
    double last_start = 0;
    for (int rank = first; rank < first + size; ++rank)
      last_start = std::max(last_start, step.timeline.at(task, rank).start.count());
    for (int rank = first; rank < first + size; ++rank) {
      const double ready = step.timeline.ready_at(task, rank).count();
      const double end = step.timeline.at(task, rank).end.count();
      if (end < ready - slack)
        broken(step.name(task), fmt::format("rank {} ended at {} s, before all of its group had "
                                            "started at {} s",
                                            rank, end, ready));
      if (std::abs(last_start - ready) > slack)
        broken(step.name(task), fmt::format("rank {} ready at {} s, but the last rank of its "
                                            "group started at {} s",
                                            rank, ready, last_start));
    }
  }
}

std::int64_t check_copies(const StepGraph& graph) {
  std::int64_t copies = 0;
  for (const MoeLayerLoad& load : graph.loads) {
    const auto total = [](const std::vector<std::uint32_t>& counts) {
      return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    };
    const std::int64_t by_expert = total(load.by_expert), by_rank = total(load.by_rank);
    if (by_expert != by_rank)
      broken(fmt::format("layer {}", load.layer),
             fmt::format("experts get {} token copies, ranks {}", by_expert, by_rank));
    copies += by_expert;
  }
  if (copies != graph.routed_copies)
    broken("step", fmt::format("layers hold {} token copies, the routing implies {}", copies,
                               graph.routed_copies));
  return copies;
}

// MoE layers, each counted once however many micro-batches go through it.
std::size_t layers_of(const StepGraph& graph) {
  std::size_t layers = 0;
  for (const MoeLayerLoad& load : graph.loads) layers += load.micro_batch == 0 ? 1 : 0;
  return layers;
}

}  // namespace

CheckReport check_step(const StepGraph& graph, const Timeline& timeline, const Cluster& cluster) {
  check_step_graph(graph, cluster, Fidelity::bound);
  const auto ranks = static_cast<std::size_t>(graph.ranks);
  if (timeline.ranks != graph.ranks || timeline.exchange_of.size() != graph.tasks.size() ||
      timeline.ready.size() != graph.exchanges.size() * ranks ||
      timeline.intervals.size() != graph.tasks.size() * ranks)
    broken("timeline", "is not of this step: other ranks or tasks");
  Checked step{graph, timeline, cluster.fabric, {}};
  for (const auto edge : boost::make_iterator_range(boost::edges(cluster.fabric.graph)))
    step.wires.push_back({boost::source(edge, cluster.fabric.graph),
                          boost::target(edge, cluster.fabric.graph),
                          index(cluster.fabric.graph[edge])});

  const std::int64_t copies = check_copies(graph);
  check_streams(graph, timeline);
  std::size_t exchanges = 0, with_copies = 0, with_flows = 0;
  Bytes bytes;
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    if (graph.tasks[task].exchange < 0) continue;
    check_bytes(step, task);
    if (check_copies_moved(step, task)) ++with_copies;
    check_devices(step, task);
    if (!step.exchange(task).flows.empty()) {
      check_flows(step, task);
      ++with_flows;
    }
    check_ready(step, task);
    check_rates(step, task);
    ++exchanges;
    bytes += Bytes(sum(step.exchange(task).sent));
  }
  CheckReport report;
  report.passed = {
      fmt::format("{} exchanges: {} sent = received, at each rank and device", exchanges,
                  to_text(bytes)),
      fmt::format(
          "{} token copies in {} MoE layers = what the routing implies{}", copies, layers_of(graph),
          with_copies > 0 ? fmt::format(" = rows of {} exchanges, on each rank", with_copies) : ""),
      fmt::format("{} exchanges: none faster than its ports, links or bisection, none ended "
                  "before all of its group had started",
                  exchanges),
      fmt::format("{} tasks on {} ranks: in order, each as long as its cost{}", graph.tasks.size(),
                  graph.ranks, graph.overlaps() ? " and what runs beside it takes" : "")};
  if (with_flows > 0)
    report.passed.push_back(
        fmt::format("{} exchanges: link bytes = the flows' on their routes", with_flows));
  return report;
}

}  // namespace moesim
