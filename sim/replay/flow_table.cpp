// Walks each flow's route once. A link that the ports of its flows cannot fill is left out: its
// limit never binds, so the max-min shares of all flows are the same without it. Exchanges of a
// step may overlap, so the flows of all of them count.
#include "sim/replay/flow_table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/replay/replay.h"

namespace moesim {
namespace {

// Those that leave their rank, by source.
std::vector<Flow> sent_flows(const Exchange& exchange, bool merged) {
  std::vector<Flow> flows;
  for (const Flow& flow : exchange.flows)
    if (flow.source != flow.destination && flow.bytes.value > 0) flows.push_back(flow);
  const auto order = [](const Flow& flow) {
    return std::pair(index(flow.source), index(flow.destination));
  };
  std::stable_sort(flows.begin(), flows.end(), [&](const Flow& a, const Flow& b) {
    return merged ? order(a) < order(b) : a.source < b.source;
  });
  if (!merged) return flows;
  std::vector<Flow> once;
  for (const Flow& flow : flows) {
    if (!once.empty() && order(once.back()) == order(flow))
      once.back().bytes += flow.bytes;
    else
      once.push_back(flow);
  }
  return once;
}

// The scale-out network decides what a flow reaches, also where its path goes on over NVLink to a
// GPU whose NIC is lost.
LinkId slowest_kind(std::span<const LinkId> path, const Fabric& fabric) {
  const auto scale_out = std::find_if(path.begin(), path.end(), [&](LinkId link) {
    return fabric.links[index(link)].tier != LinkTier::nvlink;
  });
  return scale_out == path.end() ? path.front() : *scale_out;
}

// Which ports, first or last links of the paths over it, a link has: pairs of link and port.
class Ports {
 public:
  void add(const FlowTable& table, bool first) {
    for (const FlowTable::Transfer& transfer : table.transfers()) {
      const auto path = table.path(transfer);
      const LinkId port = first ? path.front() : path.back();
      for (const LinkId link : path.subspan(1, std::max<std::size_t>(path.size(), 2) - 2))
        pairs_.emplace_back(index(link), index(port));
    }
    std::sort(pairs_.begin(), pairs_.end());
    pairs_.erase(std::unique(pairs_.begin(), pairs_.end()), pairs_.end());
  }
  // By link: of all its ports together, B/s.
  std::vector<double> bandwidth(const Fabric& fabric) const {
    std::vector<double> sums(fabric.links.size());
    for (const auto& [link, port] : pairs_) sums[link] += fabric.links[port].bandwidth.value;
    return sums;
  }

 private:
  std::vector<std::pair<std::size_t, std::size_t>> pairs_;
};

// By link: whether flows at their ports' full rate cannot exceed it. Ports themselves are kept, so
// that what is left out is limited by what is kept.
std::vector<char> never_full(const std::vector<FlowTable>& tables, const Fabric& fabric) {
  constexpr double kRounding = 1 + 1e-9;
  Ports first, last;
  for (const FlowTable& table : tables) {
    first.add(table, true);
    last.add(table, false);
  }
  const std::vector<double> in = first.bandwidth(fabric), out = last.bandwidth(fabric);
  std::vector<char> ample(fabric.links.size());
  for (std::size_t link = 0; link < ample.size(); ++link)
    ample[link] =
        std::min(in[link], out[link]) <= fabric.links[link].bandwidth.value * kRounding ? 1 : 0;
  for (const FlowTable& table : tables) {
    for (const FlowTable::Transfer& transfer : table.transfers()) {
      const auto path = table.path(transfer);
      ample[index(path.front())] = ample[index(path.back())] = 0;
    }
  }
  return ample;
}

}  // namespace

FlowTable::FlowTable(const Exchange& exchange, const Fabric& fabric, std::size_t ranks, bool merged)
    : first_(ranks + 1), incoming_(ranks) {
  for (const Flow& flow : sent_flows(exchange, merged)) {
    Transfer transfer;
    transfer.first_link = static_cast<std::uint32_t>(links_.size());
    fabric.route(flow.source, flow.destination, 0, links_);
    transfer.last_link = static_cast<std::uint32_t>(links_.size());
    transfer.bytes =
        flow.bytes.value / reached_share(exchange, fabric, slowest_kind(path(transfer), fabric));
    transfer.to = flow.destination;
    transfers_.push_back(transfer);
    ++first_[index(flow.source) + 1];
    ++incoming_[index(flow.destination)];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
}

void FlowTable::leave_out(const std::vector<char>& links) {
  std::size_t kept = 0;
  for (Transfer& transfer : transfers_) {
    const std::size_t first = transfer.first_link, last = transfer.last_link;
    transfer.first_link = static_cast<std::uint32_t>(kept);
    for (std::size_t i = first; i < last; ++i)
      if (links[index(links_[i])] == 0) links_[kept++] = links_[i];
    transfer.last_link = static_cast<std::uint32_t>(kept);
  }
  links_.resize(kept);
}

std::vector<FlowTable> FlowTable::of_step(const StepGraph& graph,
                                          const Fabric& fabric,
                                          bool merged) {
  std::vector<FlowTable> tables;
  tables.reserve(graph.exchanges.size());
  for (const Exchange& exchange : graph.exchanges)
    tables.push_back(FlowTable(exchange, fabric, static_cast<std::size_t>(graph.ranks), merged));
  if (!merged) return tables;
  const std::vector<char> ample = never_full(tables, fabric);
  for (FlowTable& table : tables) table.leave_out(ample);
  return tables;
}

}  // namespace moesim
