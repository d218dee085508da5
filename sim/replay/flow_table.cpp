// Walks each flow's route once. A link that the ports of its flows cannot fill is left out: its
// limit never binds, so the max-min shares of all flows are the same without it.
#include "sim/replay/flow_table.h"

#include <algorithm>
#include <numeric>

#include "sim/replay/replay.h"

namespace moesim {
namespace {

// The flows of an exchange that leave their rank, by source, with their paths.
struct Walked {
  std::vector<Flow> flows;
  std::vector<LinkId> links;
  std::vector<std::size_t> first;  // by flow, and the end

  std::span<const LinkId> path(std::size_t flow) const {
    return {links.data() + first[flow], links.data() + first[flow + 1]};
  }
};

Walked walk(const Exchange& exchange, const Fabric& fabric, bool merged) {
  Walked walked;
  for (const Flow& flow : exchange.flows)
    if (flow.source != flow.destination && flow.bytes.value > 0) walked.flows.push_back(flow);
  const auto order = [](const Flow& flow) {
    return std::pair(index(flow.source), index(flow.destination));
  };
  std::stable_sort(walked.flows.begin(), walked.flows.end(), [&](const Flow& a, const Flow& b) {
    return merged ? order(a) < order(b) : a.source < b.source;
  });
  if (merged) {
    std::vector<Flow> once;
    for (const Flow& flow : walked.flows) {
      if (!once.empty() && order(once.back()) == order(flow))
        once.back().bytes += flow.bytes;
      else
        once.push_back(flow);
    }
    walked.flows = std::move(once);
  }
  for (const Flow& flow : walked.flows) {
    walked.first.push_back(walked.links.size());
    fabric.route(flow.source, flow.destination, 0, walked.links);
  }
  walked.first.push_back(walked.links.size());
  return walked;
}

// By link: the bandwidth of the distinct ports (first links of the paths over it, or last ones)
// that feed it or that it feeds; the link's own does not count.
std::vector<double> port_bandwidth(const Walked& walked, const Fabric& fabric, bool first) {
  std::vector<std::pair<std::size_t, std::size_t>> fed;  // link, port
  for (std::size_t flow = 0; flow < walked.flows.size(); ++flow) {
    const auto path = walked.path(flow);
    const LinkId port = first ? path.front() : path.back();
    for (const LinkId link : path.subspan(1, std::max<std::size_t>(path.size(), 2) - 2))
      fed.emplace_back(index(link), index(port));
  }
  std::sort(fed.begin(), fed.end());
  fed.erase(std::unique(fed.begin(), fed.end()), fed.end());
  std::vector<double> bandwidth(fabric.links.size());
  for (const auto& [link, port] : fed) bandwidth[link] += fabric.links[port].bandwidth.value;
  return bandwidth;
}

// By link: whether flows at their ports' full rate cannot exceed it. Ports themselves are kept, so
// that what is left out is limited by what is kept.
std::vector<char> never_full(const Walked& walked, const Fabric& fabric) {
  constexpr double kRounding = 1 + 1e-9;
  const std::vector<double> in = port_bandwidth(walked, fabric, true);
  const std::vector<double> out = port_bandwidth(walked, fabric, false);
  std::vector<char> ample(fabric.links.size());
  for (std::size_t link = 0; link < ample.size(); ++link)
    ample[link] =
        std::min(in[link], out[link]) <= fabric.links[link].bandwidth.value * kRounding ? 1 : 0;
  for (std::size_t flow = 0; flow < walked.flows.size(); ++flow) {
    const auto path = walked.path(flow);
    ample[index(path.front())] = ample[index(path.back())] = 0;
  }
  return ample;
}

// The scale-out network decides what a flow reaches, also where its path goes on over NVLink to a
// GPU whose NIC is lost.
LinkId slowest_kind(std::span<const LinkId> path, const Fabric& fabric) {
  const auto scale_out = std::find_if(path.begin(), path.end(), [&](LinkId link) {
    return fabric.links[index(link)].tier != LinkTier::nvlink;
  });
  return scale_out == path.end() ? path.front() : *scale_out;
}

}  // namespace

FlowTable::FlowTable(const Exchange& exchange, const Fabric& fabric, std::size_t ranks, bool merged)
    : first_(ranks + 1), incoming_(ranks) {
  const Walked walked = walk(exchange, fabric, merged);
  const std::vector<char> ample = never_full(walked, fabric);
  transfers_.reserve(walked.flows.size());
  for (std::size_t i = 0; i < walked.flows.size(); ++i) {
    const Flow& flow = walked.flows[i];
    const auto path = walked.path(i);
    Transfer transfer;
    transfer.bytes = flow.bytes.value / reached_share(exchange, fabric, slowest_kind(path, fabric));
    transfer.first_link = static_cast<std::uint32_t>(links_.size());
    for (const LinkId link : path)
      if (ample[index(link)] == 0) links_.push_back(link);
    transfer.last_limit = static_cast<std::uint32_t>(links_.size());
    for (const LinkId link : path)
      if (!merged && ample[index(link)] != 0) links_.push_back(link);
    transfer.last_link = static_cast<std::uint32_t>(links_.size());
    transfer.first_to = static_cast<std::uint32_t>(destinations_.size());
    destinations_.push_back(flow.destination);
    transfer.last_to = static_cast<std::uint32_t>(destinations_.size());
    transfers_.push_back(transfer);
    ++first_[index(flow.source) + 1];
    ++incoming_[index(flow.destination)];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
}

}  // namespace moesim
