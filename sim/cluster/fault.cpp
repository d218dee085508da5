// One fault on a cluster: which links it takes.
#include "sim/cluster/fault.h"

#include <fmt/format.h>

#include <boost/range/iterator_range.hpp>
#include <set>

#include "sim/cluster/detours.h"

namespace moesim {
namespace {

LinkId other_way(LinkId link) { return id_of<LinkId>(index(link) ^ 1U); }  // cables come in pairs

// NICs that are devices of their own, as in imported graphs: the first nic-tier cable on each path
// to another node.
std::set<LinkId> nics_on_paths(const Fabric& fabric, Rank rank) {
  std::set<LinkId> links;
  std::vector<LinkId> path;
  for (int other = 0; other < fabric.ranks; ++other) {
    if (fabric.same_node(rank, Rank{other})) continue;
    path.clear();
    fabric.route(rank, Rank{other}, 0, path);
    for (const LinkId link : path) {
      if (fabric.links[index(link)].tier != LinkTier::nic) continue;
      links.insert(link);
      links.insert(other_way(link));
      break;
    }
  }
  return links;
}

std::vector<LinkId> links_at(const Fabric& fabric, Rank rank) {
  std::vector<LinkId> links;
  for (const auto edge : boost::make_iterator_range(boost::edges(fabric.graph)))
    if (boost::source(edge, fabric.graph) == index(rank) ||
        boost::target(edge, fabric.graph) == index(rank))
      links.push_back(fabric.graph[edge]);
  return links;
}

std::vector<LinkId> nic_of(const Fabric& fabric, const Fault& fault) {
  if (fabric.nodes() < 2)
    throw InputError(fault.where, "the fabric joins one node: rank " +
                                      std::to_string(index(fault.rank)) + " has no NIC to lose");
  std::vector<LinkId> links;
  for (const LinkId link : links_at(fabric, fault.rank))
    if (fabric.links[index(link)].tier == LinkTier::nic) links.push_back(link);
  if (links.empty()) {
    const std::set<LinkId> far = nics_on_paths(fabric, fault.rank);
    links.assign(far.begin(), far.end());
  }
  if (links.empty())
    throw InputError(fault.where, "no link of tier nic leads from rank " +
                                      std::to_string(index(fault.rank)) + " to other nodes");
  return links;
}

void slow_down(Cluster& cluster, const Fault& fault) {
  if (cluster.slow.empty()) cluster.slow.assign(static_cast<std::size_t>(cluster.ranks()), 1.0);
  cluster.slow.at(index(fault.rank)) *= fault.factor;
}

}  // namespace

const std::vector<std::string>& fault_kind_names() {
  static const std::vector<std::string> names{"link_down", "link_degraded", "nic_lost", "slow_gpu",
                                              "rank_lost"};
  return names;
}

std::string to_text(const Fault& fault) {
  const std::string& kind = fault_kind_names()[static_cast<std::size_t>(fault.kind)];
  switch (fault.kind) {
    case FaultKind::link_down:
      return kind + " " + fault.link;
    case FaultKind::link_degraded:
      return fmt::format("{} {} to {:g} %", kind, fault.link, 100 * fault.factor);
    case FaultKind::slow_gpu:
      return fmt::format("{} rank {} x {:g}", kind, index(fault.rank), fault.factor);
    case FaultKind::nic_lost:
    case FaultKind::rank_lost:
      return fmt::format("{} rank {}", kind, index(fault.rank));
  }
  return kind;
}

Cluster with_fault(Cluster cluster, const Fault& fault) {
  Fabric& fabric = cluster.fabric;
  switch (fault.kind) {
    case FaultKind::link_down:
      take_out(fabric, links_named(fabric, fault.link, fault.where));
      break;
    case FaultKind::link_degraded:
      apply_link_health(fabric, {{fault.link, fault.factor, fault.where}});
      break;
    case FaultKind::nic_lost:
      take_out(fabric, nic_of(fabric, fault));
      break;
    case FaultKind::slow_gpu:
      slow_down(cluster, fault);
      break;
    case FaultKind::rank_lost:
      take_out(fabric, links_at(fabric, fault.rank));
      break;
  }
  return cluster;
}

}  // namespace moesim
