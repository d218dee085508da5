// Counts links, walks paths and cuts the fabric in half.
#include "sim/cluster/fabric_summary.h"

#include <algorithm>
#include <map>

namespace moesim {
namespace {

std::vector<TierSummary> tiers_of(const Fabric& fabric) {
  std::map<LinkTier, TierSummary> tiers;
  for (std::size_t number = 0; number < fabric.links.size(); ++number) {
    const Link& link = fabric.links[number];
    auto [found, is_new] = tiers.try_emplace(link.tier);
    TierSummary& tier = found->second;
    if (is_new) tier = {link.tier, 0, link.bandwidth, link.bandwidth, link.latency, link.latency};
    tier.cables += number % 2;  // links come in pairs
    tier.slowest = std::min(tier.slowest, link.bandwidth);
    tier.fastest = std::max(tier.fastest, link.bandwidth);
    tier.shortest = std::min(tier.shortest, link.latency);
    tier.longest = std::max(tier.longest, link.latency);
  }
  std::vector<TierSummary> listed;
  for (const auto& tier : tiers) listed.push_back(tier.second);
  return listed;
}

BytesPerSecond ports_of_first(const Fabric& fabric, std::size_t ranks, bool nics_only) {
  const std::vector<LinkEnds> ends = link_ends(fabric);
  BytesPerSecond sum;
  for (std::size_t link = 0; link < ends.size(); ++link) {
    const Link& one = fabric.links[link];
    if (ends[link].from < ranks && (!nics_only || one.tier == LinkTier::nic)) sum += one.bandwidth;
  }
  return sum;
}

void walk_paths(const Fabric& fabric, FabricSummary& summary) {
  const int step = fabric.ranks > 512 ? fabric.ranks / 64 : 1;
  std::vector<LinkId> path;
  for (int source = 0; source < fabric.ranks; source += step) {
    for (int destination = 0; destination < fabric.ranks; ++destination) {
      path.clear();
      if (source == destination) continue;
      fabric.route(static_cast<Rank>(source), static_cast<Rank>(destination), 0, path);
      Seconds latency{};
      for (const LinkId link : path) latency += fabric.links[index(link)].latency;
      summary.diameter = std::max(summary.diameter, static_cast<int>(path.size()));
      summary.farthest = std::max(summary.farthest, latency);
    }
  }
}

}  // namespace

FabricSummary summary_of(const Fabric& fabric) {
  FabricSummary summary;
  summary.ranks = fabric.ranks;
  summary.nodes = fabric.nodes();
  summary.ranks_per_node = fabric.ranks_per_node;
  std::map<DeviceKind, std::size_t> devices;
  for (Vertex device = 0; device < boost::num_vertices(fabric.graph); ++device)
    ++devices[fabric.graph[device].kind];
  summary.devices.assign(devices.begin(), devices.end());
  summary.tiers = tiers_of(fabric);

  const bool several = fabric.nodes() > 1;
  const auto ranks = static_cast<std::size_t>(fabric.ranks);
  summary.port = ports_of_first(fabric, ranks, several) / fabric.ranks;
  summary.bisection = bisection_bandwidth(fabric);
  if (ranks > 1 && (!several || fabric.nodes() % 2 == 0))
    summary.oversubscription = ports_of_first(fabric, ranks / 2, several) / summary.bisection;
  walk_paths(fabric, summary);
  return summary;
}

}  // namespace moesim
