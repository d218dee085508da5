// Step graphs made by hand for the replay's tests: every load of an exchange follows from its flows
// on the fabric's routes.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/plan/step_graph.h"

namespace moesim::hand_made {

inline Cluster cluster_of(const char* topology, const TopologyOptions& options) {
  Cluster cluster;
  cluster.fabric = Catalog<TopologyPart>::instance().at(topology, "topology")(options);
  return cluster;
}

// Links without latency; nodes of `gpus`, NVLink 400 GB/s and NIC 50 GB/s.
inline Cluster rails_of(int nodes, int gpus, double oversubscription = 1) {
  TopologyOptions options;
  options.nodes = nodes;
  options.gpus_per_node = gpus;
  options.nvlink = BytesPerSecond(400e9);
  options.nic = BytesPerSecond(50e9);
  options.oversubscription = oversubscription;
  return cluster_of("rail_optimized", options);
}

// Of layer 0: token copies by expert, and by rank.
inline MoeLayerLoad load_of(std::vector<std::uint32_t> by_expert,
                            std::vector<std::uint32_t> by_rank) {
  MoeLayerLoad load;
  load.by_expert = std::move(by_expert);
  load.by_rank = std::move(by_rank);
  return load;
}

inline Flow flow_of(int source, int destination, double bytes) {
  return {static_cast<Rank>(source), static_cast<Rank>(destination), Bytes(bytes)};
}

// The times of each rank: its busiest link and longest path.
inline void add_times(Exchange& exchange, const Fabric& fabric) {
  std::vector<LinkId> path;
  for (const Flow& flow : exchange.flows) {
    path.clear();
    fabric.route(flow.source, flow.destination, 0, path);
    const std::size_t to = index(flow.destination);
    Seconds latency{};
    for (const LinkId id : path) {
      const Link& link = fabric.links[index(id)];
      latency += link.latency;
      const Seconds transfer = exchange.link_bytes[index(id)] / link.bandwidth;
      if (exchange.transfer[to] < transfer) {
        exchange.transfer[to] = transfer;
        exchange.busiest[to] = id;
      }
    }
    exchange.latency[to] = std::max(exchange.latency[to], latency);
  }
}

inline Exchange exchange_of(const std::vector<Flow>& flows, const Cluster& cluster) {
  const auto ranks = static_cast<std::size_t>(cluster.ranks());
  Exchange exchange;
  exchange.algorithm = "hand made";
  exchange.sent.resize(ranks);
  exchange.received.resize(ranks);
  exchange.kept.resize(ranks);
  exchange.link_bytes.resize(cluster.fabric.links.size());
  exchange.transfer.resize(ranks);
  exchange.busiest.assign(ranks, LinkId{-1});
  exchange.latency.resize(ranks);
  exchange.message_time.resize(ranks);
  exchange.copy_time.resize(ranks);
  exchange.flows = flows;
  std::vector<LinkId> path;
  Bytes crossing;
  for (const Flow& flow : flows) {
    path.clear();
    cluster.fabric.route(flow.source, flow.destination, 0, path);
    for (const LinkId id : path) exchange.link_bytes[index(id)] += flow.bytes;
    exchange.sent[index(flow.source)] += flow.bytes;
    exchange.received[index(flow.destination)] += flow.bytes;
    if (index(flow.source) < ranks / 2 && index(flow.destination) >= ranks / 2)
      crossing += flow.bytes;
  }
  add_times(exchange, cluster.fabric);
  for (std::size_t link = 0; link < exchange.link_bytes.size(); ++link) {
    const Link& one = cluster.fabric.links[link];
    if (one.tier != LinkTier::leaf_spine)
      exchange.port_bound =
          std::max(exchange.port_bound, exchange.link_bytes[link] / one.bandwidth);
  }
  exchange.bisection_bound = crossing / bisection_bandwidth(cluster.fabric);
  return exchange;
}

// What fidelity `links` reads, from the flows.
inline Exchange with_shares(Exchange exchange, const Fabric& fabric) {
  const std::size_t ranks = exchange.sent.size(), words = (ranks + 63) / 64;
  const std::size_t of_group =
      exchange.group_ranks > 0 ? static_cast<std::size_t>(exchange.group_ranks) : ranks;
  exchange.senders.assign(ranks * words, 0);
  std::map<std::pair<int, std::size_t>, Bytes> bytes;
  std::vector<LinkId> path;
  for (const Flow& flow : exchange.flows) {
    const std::size_t from = index(flow.source);
    exchange.senders[index(flow.destination) * words + from / 64] |= std::uint64_t{1}
                                                                     << (from % 64);
    path.clear();
    fabric.route(flow.source, flow.destination, 0, path);
    for (const LinkId link : path)
      bytes[{static_cast<int>(from / of_group), index(link)}] += flow.bytes;
  }
  exchange.shares.clear();
  for (const auto& [at, amount] : bytes)
    exchange.shares.push_back({at.first, id_of<LinkId>(at.second), amount});
  return exchange;
}

inline void add_compute(StepGraph& graph, TaskKind kind, const std::vector<double>& seconds) {
  Task task;
  task.kind = kind;
  task.layer = 0;
  for (const double time : seconds) task.by_rank.push_back(Seconds(time));
  graph.tasks.push_back(task);
}

inline void add_exchange(StepGraph& graph, TaskKind kind, Exchange exchange) {
  Task task;
  task.kind = kind;
  task.layer = 0;
  task.exchange = static_cast<int>(graph.exchanges.size());
  graph.tasks.push_back(task);
  graph.exchanges.push_back(std::move(exchange));
}

inline StepGraph step_of(int ranks, const Exchange& exchange) {
  StepGraph graph;
  graph.ranks = ranks;
  add_exchange(graph, TaskKind::dispatch, exchange);
  return graph;
}

}  // namespace moesim::hand_made
