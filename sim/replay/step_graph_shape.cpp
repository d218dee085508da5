// Shape and range of everything a replay reads.
#include "sim/replay/step_graph_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

bool all_durations(const std::vector<Seconds>& times, std::size_t ranks) {
  return times.size() == ranks && std::all_of(times.begin(), times.end(), [](Seconds time) {
           return std::isfinite(time.count()) && time.count() >= 0;
         });
}

bool all_amounts(const std::vector<Bytes>& amounts, std::size_t size) {
  return amounts.size() == size && std::all_of(amounts.begin(), amounts.end(), [](Bytes amount) {
           return std::isfinite(amount.value) && amount.value >= 0;
         });
}

void expect(bool holds, const std::string& where, const char* what) {
  if (!holds) throw CheckError(where + ": " + what);
}

// Ranks that do not take part have nothing to do with it.
void check_among(const Exchange& exchange,
                 std::size_t of_group,
                 std::size_t ranks,
                 const std::string& where) {
  const RankRange& among = exchange.among;
  if (among.ranks() == 0) return;
  const auto whole = [&](int end) { return static_cast<std::size_t>(end) % of_group == 0; };
  expect(among.first >= 0 && among.ranks() > 0 && static_cast<std::size_t>(among.last) <= ranks &&
             whole(among.first) && whole(among.last),
         where, "takes whole groups of the step's ranks");
  for (std::size_t rank = 0; rank < ranks; ++rank)
    expect(among.has(static_cast<int>(rank)) ||
               (exchange.sent[rank] + exchange.received[rank] + exchange.kept[rank]).value == 0,
           where, "moves bytes of ranks that take no part");
}

void check_exchange(const Exchange& exchange,
                    const Fabric& fabric,
                    std::size_t ranks,
                    const std::string& where) {
  for (const auto* amounts : {&exchange.sent, &exchange.received, &exchange.kept})
    expect(all_amounts(*amounts, ranks), where, "bytes of each rank must be finite, not negative");
  expect(all_amounts(exchange.link_bytes, fabric.links.size()), where,
         "bytes of each link must be finite, not negative");
  for (const auto* times :
       {&exchange.transfer, &exchange.latency, &exchange.message_time, &exchange.copy_time})
    expect(all_durations(*times, ranks), where, "times of each rank must be finite, not negative");
  expect(exchange.fixed.count() >= 0 && std::isfinite(exchange.fixed.count()), where,
         "fixed time must be finite, not negative");
  for (const double efficiency : {exchange.nvlink_efficiency, exchange.nic_efficiency})
    expect(efficiency > 0 && efficiency <= 1, where, "efficiency must be in (0, 1]");
  expect(exchange.speed_taken >= 0 && exchange.speed_taken < 1, where,
         "share of speed taken must be in [0, 1)");
  expect(exchange.slowdown >= 1 && std::isfinite(exchange.slowdown), where,
         "slowdown must be finite and 1 or more");
  expect(exchange.group_ranks >= 0 && (exchange.group_ranks == 0 ||
                                       ranks % static_cast<std::size_t>(exchange.group_ranks) == 0),
         where, "ranks of a group must divide the step's");
  const std::size_t of_group =
      exchange.group_ranks > 0 ? static_cast<std::size_t>(exchange.group_ranks) : ranks;
  check_among(exchange, of_group, ranks, where);
  for (const Flow& flow : exchange.flows) {
    expect(index(flow.source) < ranks && index(flow.destination) < ranks &&
               std::isfinite(flow.bytes.value) && flow.bytes.value >= 0,
           where, "flows must join ranks of the step and carry finite bytes");
    expect(index(flow.source) / of_group == index(flow.destination) / of_group, where,
           "flows must stay within a group of ranks");
  }
}

// What replay and measurement rely on: tasks wait for earlier ones, and between an exchange and the
// last task that it waits for stands no kernel, so that none can be held up by a later exchange.
void check_order_of_tasks(const StepGraph& graph, std::size_t task, const std::string& where) {
  const Task& one = graph.tasks[task];
  std::uint32_t last = 0;
  for (const std::uint32_t before : one.after) {
    expect(before < task, where, "can only wait for tasks before it");
    last = std::max(last, before);
  }
  if (one.exchange < 0 || one.after.empty()) return;
  for (std::size_t between = last + 1; between < task; ++between)
    expect(graph.tasks[between].exchange >= 0, where,
           "an exchange must stand right behind the last kernel it waits for");
}

}  // namespace

void check_step_graph(const StepGraph& graph, const Cluster& cluster, Fidelity fidelity) {
  expect(graph.ranks >= 1 && graph.ranks <= cluster.ranks(),
         fmt::format("step of {} ranks on {} GPUs", graph.ranks, cluster.ranks()),
         "a step needs at least one rank and no more ranks than GPUs");
  const auto ranks = static_cast<std::size_t>(graph.ranks);
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    const Task& one = graph.tasks[task];
    const std::string where = fmt::format("task {} ({})", task, to_text(one.kind));
    check_order_of_tasks(graph, task, where);
    if (one.exchange < 0) {
      expect(all_durations(one.by_rank, ranks), where,
             "needs a time for each rank, finite and not negative");
      continue;
    }
    expect(static_cast<std::size_t>(one.exchange) < graph.exchanges.size(), where,
           "names an exchange the step does not have");
  }
  for (std::size_t i = 0; i < graph.exchanges.size(); ++i) {
    const Exchange& exchange = graph.exchanges[i];
    const std::string where = fmt::format("exchange {}", i);
    check_exchange(exchange, cluster.fabric, ranks, where);
    const bool sends = std::any_of(exchange.sent.begin(), exchange.sent.end(),
                                   [](Bytes bytes) { return bytes.value > 0; });
    const bool by_flow = fidelity == Fidelity::paths || fidelity == Fidelity::flows;
    expect(!by_flow || !sends || !exchange.flows.empty(), where,
           "sends bytes but kept no flows; build the step with keep_flows");
    expect(fidelity != Fidelity::links || !sends || !exchange.shares.empty(), where,
           "sends bytes but kept no shares of links; build the step with keep_shares");
    expect(exchange.shares.empty() || exchange.senders.size() == ranks * ((ranks + 63) / 64), where,
           "shares of links need the senders of each rank");
  }
}

}  // namespace moesim
